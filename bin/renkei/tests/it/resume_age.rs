//! Far servers that cannot sync: what they acknowledged long before a break is believed, and that is told.
//!
//! A minute of copying is not waited for. The journal of a killed copy gets one record more, as if the server had still
//! answered a minute later; its form is that of `renkei_plan::journal`.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use renkei_testkit::Sshd;
use renkei_testkit::sshd::stock_sftp_server;

use crate::resume::{FAST, SLOW, assert_whole, journals, killed_at, number, temporaries};
use crate::support::{Lab, Way, summary, well};

const TOLD: &str = "no fsync: what it had acknowledged more than 60 s before the break is believed";
const SIZE: u64 = 16 << 20;

/// A stock server that does not announce `fsync@openssh.com` (sftp-server(8), `-P`).
fn without_fsync() -> Lab {
    let server = stock_sftp_server().unwrap();
    let command = format!("{} -P fsync", server.display());
    Lab::with(Sshd::builder().subsystem(command).start().unwrap())
}

/// Starts a copy of a large file and kills it; gives the bytes that it told last.
fn killed(lab: &Lab) -> u64 {
    lab.tree("tree").file("large", SIZE).unwrap();
    killed_at(lab, &lab.words(Way::Up, SLOW, &["tree", "target"]), 4 << 20)
}

/// Adds that the server synced nothing of the first file, so long after now.
fn answers_later(journal: &Path, later: Duration) {
    const DURABLE: u8 = 6;
    let mut bytes = fs::read(journal).unwrap();
    bytes.truncate(end_of_records(&bytes));
    let mut chain = u32::from_le_bytes(*bytes.last_chunk().unwrap());
    let mut payload = vec![0, 0];
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + later;
    let mut millis = at.as_millis() as u64;
    while millis >= 0x80 {
        payload.push(millis as u8 | 0x80);
        millis >>= 7;
    }
    payload.push(millis as u8);
    let mut record = vec![payload.len() as u8, 0, 0, DURABLE];
    let check = crc32(chain, &record);
    record.extend_from_slice(&((check >> 16) as u16 ^ check as u16).to_le_bytes());
    record.extend_from_slice(&payload);
    chain = crc32(chain, &record);
    bytes.extend_from_slice(&record);
    bytes.extend_from_slice(&chain.to_le_bytes());
    fs::write(journal, bytes).unwrap();
}

/// Where the last whole record ends: a kill may have come in the middle of one.
fn end_of_records(bytes: &[u8]) -> usize {
    let header = u32::from_le_bytes(bytes[10..14].try_into().unwrap());
    let mut end = 18 + header as usize + 4;
    while let Some([low, middle, high, ..]) = bytes.get(end..) {
        let next = end + 6 + u32::from_le_bytes([*low, *middle, *high, 0]) as usize + 4;
        if next > bytes.len() {
            break;
        }
        end = next;
    }
    end
}

/// CRC-32 as in zlib, going on from `seed`.
fn crc32(seed: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes
        .iter()
        .fold(!seed, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Spoils the first byte of the temporary file.
fn spoil(lab: &Lab) {
    let left = temporaries(&lab.path("target")).remove(0);
    let file = fs::OpenOptions::new().read(true).write(true).open(left).unwrap();
    let mut first = [0];
    file.read_exact_at(&mut first, 0).unwrap();
    file.write_all_at(&[!first[0]], 0).unwrap();
}

#[test]
fn resume_without_fsync_believes_what_is_old_and_says_so() {
    let lab = without_fsync();
    let told = killed(&lab);
    answers_later(&journals(&lab)[0], Duration::from_secs(62));
    spoil(&lab);
    let words = lab.words(Way::Up, FAST, &["tree", "target"]);
    let outcome = well(lab.cp(words));
    let last = summary(&outcome);
    assert!(number(&last, "resumed_bytes") >= told, "{last}");
    assert!(last["notes"].to_string().contains(TOLD), "{last}");
    // Not read back: the one byte that was spoiled stays so, which is what the note is about.
    let (copy, source) = (lab.path("target/large"), lab.path("tree/large"));
    let (copy, source) = (fs::read(copy).unwrap(), fs::read(source).unwrap());
    assert!(copy[0] != source[0] && copy[1..] == source[1..]);
}

#[test]
fn resume_without_fsync_reads_back_what_is_young() {
    let lab = without_fsync();
    killed(&lab);
    answers_later(&journals(&lab)[0], Duration::from_secs(30));
    spoil(&lab);
    let outcome = well(lab.cp(lab.words(Way::Up, FAST, &["tree", "target"])));
    assert!(!outcome.text().contains("fsync"), "{}", outcome.text());
    assert!(number(&summary(&outcome), "resumed_bytes") > 0);
    assert_whole(&lab, "tree", "target");
}

#[test]
fn resume_with_fsync_reads_back_what_was_not_synced_however_old() {
    let lab = Lab::new();
    killed(&lab);
    answers_later(&journals(&lab)[0], Duration::from_secs(62));
    spoil(&lab);
    let outcome = well(lab.cp(lab.words(Way::Up, FAST, &["tree", "target"])));
    assert!(!outcome.text().contains("fsync"), "{}", outcome.text());
    assert!(number(&summary(&outcome), "resumed_bytes") > 0);
    assert_whole(&lab, "tree", "target");
}
