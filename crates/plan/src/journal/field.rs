//! The fields that headers and records are made of: variable-length integers and counted bytes.
//!
//! Integers are seven bits a byte, lowest first, the high bit saying that more follow; signed ones are zigzagged so that
//! small magnitudes stay short.

/// Appends an unsigned integer.
pub(super) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer.
pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends bytes with their count.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes fields from the front of a payload; `None` where they are not there.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            value |= part << shift;
            if byte < 0x80 {
                // The tenth byte has room for one bit only.
                return (part << shift >> shift == part).then_some(value);
            }
        }
        None
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.u64()?.try_into().ok()
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        let zigzag = self.u64()?;
        Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u64()?.try_into().ok()?;
        self.take(len)
    }

    pub(super) fn hash(&mut self) -> Option<[u8; 32]> {
        let (hash, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*hash)
    }

    /// A count of things that take at least `least` bytes each, so that a wrong one cannot ask for much memory.
    pub(super) fn count(&mut self, least: usize) -> Option<usize> {
        let count: usize = self.u64()?.try_into().ok()?;
        (count.checked_mul(least.max(1))? <= self.0.len()).then_some(count)
    }

    /// `value`, if nothing is left over.
    pub(super) fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back(unsigned: u64, signed: i64, small in 0_u64..300) {
            let mut out = Vec::new();
            put_u64(&mut out, unsigned);
            put_i64(&mut out, signed);
            put_u64(&mut out, small);
            let mut fields = Fields(&out);
            prop_assert_eq!(fields.u64(), Some(unsigned));
            prop_assert_eq!(fields.i64(), Some(signed));
            prop_assert_eq!(fields.u64(), Some(small));
            prop_assert!(fields.end(()).is_some());
        }
    }

    #[test]
    fn an_integer_beyond_64_bits_is_refused() {
        let mut bytes = [0xff; 10];
        bytes[9] = 0x02;
        assert_eq!(Fields(&bytes).u64(), None);
        bytes[9] = 0x01;
        assert_eq!(Fields(&bytes).u64(), Some(u64::MAX));
    }

    #[test]
    fn a_count_cannot_promise_more_than_is_there() {
        let mut out = Vec::new();
        put_u64(&mut out, 1 << 40);
        assert_eq!(Fields(&out).count(32), None);
    }
}
