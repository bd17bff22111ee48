//! Which libraries a program needs, from its dynamic section (System V ABI, chapters 4 and 5; 64 bits, little endian).

use std::ops::Range;

/// What a program or library needs to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The dynamic loader, a whole path.
    pub loader: Option<String>,
    /// Libraries, by the names under which they are looked for.
    pub libraries: Vec<String>,
}

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

/// What it needs; nothing if it is no such file.
pub(super) fn needs(file: &[u8]) -> Option<Needs> {
    // Magic, 64 bits, little endian.
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let segments = segments(file)?;
    let mut needs = Needs::default();
    let of = |kind| segments.iter().find(move |segment| segment.kind == kind);
    if let Some(interp) = of(PT_INTERP) {
        needs.loader = Some(text(file, interp.bytes.start)?);
    }
    let Some(dynamic) = of(PT_DYNAMIC) else {
        return Some(needs);
    };
    let entries: Vec<(u64, u64)> = dynamic
        .bytes
        .clone()
        .step_by(16)
        .map(|at| Some((number(file, at, 8)?, number(file, at + 8, 8)?)))
        .take_while(|entry| *entry != Some((0, 0)))
        .collect::<Option<_>>()?;
    let value = |tag| entries.iter().filter(move |entry| entry.0 == tag).map(|entry| entry.1);
    for name in value(DT_NEEDED) {
        let address = value(DT_STRTAB).next()?.checked_add(name)?;
        let load = segments.iter().find(|segment| {
            segment.kind == PT_LOAD
                && address
                    .checked_sub(segment.address)
                    .is_some_and(|at| at < segment.bytes.len() as u64)
        })?;
        let at = usize::try_from(address - load.address).ok()?;
        needs.libraries.push(text(file, load.bytes.start + at)?);
    }
    Some(needs)
}

struct Segment {
    kind: u64,
    bytes: Range<usize>,
    address: u64,
}

fn segments(file: &[u8]) -> Option<Vec<Segment>> {
    let start = place(file, 32, 8)?;
    let (size, count) = (place(file, 54, 2)?, place(file, 56, 2)?);
    let one = |index: usize| {
        let at = start.checked_add(index.checked_mul(size)?)?;
        let (offset, length) = (place(file, at + 8, 8)?, place(file, at + 32, 8)?);
        let bytes = offset..offset.checked_add(length)?;
        (bytes.end <= file.len()).then_some(())?;
        Some(Segment {
            kind: number(file, at, 4)?,
            bytes,
            address: number(file, at + 16, 8)?,
        })
    };
    (0..count).map(one).collect()
}

fn number(file: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = file.get(at..at.checked_add(length)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

fn place(file: &[u8], at: usize, length: usize) -> Option<usize> {
    let place = usize::try_from(number(file, at, length)?).ok()?;
    // Far from overflow, so that small sums need no check.
    (place <= file.len()).then_some(place)
}

fn text(file: &[u8], at: usize) -> Option<String> {
    let rest = file.get(at..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    String::from_utf8(rest.get(..end)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_program_needs_the_c_library() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&file).unwrap();
        assert!(
            needs.libraries.iter().any(|name| name.starts_with("libc.so")),
            "{needs:?}"
        );
        assert!(needs.loader.unwrap().contains("ld-"));
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused_without_panic() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(needs(b"#!/bin/sh"), None);
        for length in 0..4096 {
            assert_eq!(needs(&file[..length]), None, "{length}");
        }
    }
}
