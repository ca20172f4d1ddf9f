//! Numbers in as few bytes as they need: seven bits in each, the lowest first.

/// Appends `value`.
pub(super) fn push(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7F).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

/// Appends `value` so that numbers around 0 are short.
pub(super) fn push_signed(out: &mut Vec<u8>, value: i64) {
    push(out, (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
}

/// Takes a number from the beginning of `bytes`; `None` if they end before it does.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes a number that [`push_signed`] appended.
pub(super) fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let value = take(bytes)?;
    Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_written(values: Vec<i64>) {
            let mut bytes = Vec::new();
            for value in &values {
                push_signed(&mut bytes, *value);
                push(&mut bytes, value.cast_unsigned());
            }
            let mut rest = bytes.as_slice();
            for value in values {
                prop_assert_eq!(take_signed(&mut rest), Some(value));
                prop_assert_eq!(take(&mut rest), Some(value.cast_unsigned()));
            }
            prop_assert_eq!((take(&mut rest), rest), (None, &[][..]));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            while take(&mut rest).is_some() {}
        }
    }
}
