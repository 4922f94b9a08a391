//! Which of 64 bytes of JSON matter to find the end of an item.

use wide::u8x16;

pub(super) const BLOCK_BYTES: usize = 64;

/// Masks with a bit for each byte of a block; the first byte's bit is the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    pub(super) opening: u64,
    pub(super) closing: u64,
    /// Whether any byte is below a space, which those of a real response never are.
    pub(super) has_controls: bool,
}

impl Block {
    #[inline(always)]
    pub(super) fn of(bytes: &[u8; BLOCK_BYTES]) -> Self {
        let (lanes, _) = bytes.as_chunks();
        let lanes: [u8x16; 4] = std::array::from_fn(|lane| u8x16::new(lanes[lane]));
        Self {
            quotes: places(lanes, b'"'),
            backslashes: places(lanes, b'\\'),
            opening: places(lanes, b'{'),
            closing: places(lanes, b'}'),
            has_controls: has_controls(lanes),
        }
    }
}

#[inline(always)]
fn places(lanes: [u8x16; 4], byte: u8) -> u64 {
    let [a, b, c, d] = lanes.map(|lane| u64::from(lane.simd_eq(u8x16::splat(byte)).to_bitmask()));
    a | b << 16 | c << 32 | d << 48
}

#[inline(always)]
fn has_controls([a, b, c, d]: [u8x16; 4]) -> bool {
    let least = a.min(b).min(c.min(d));
    least.min(u8x16::splat(b' ' - 1)).simd_eq(least).any()
}

#[cfg(test)]
mod tests {
    use proptest::array::uniform32;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_is_found_at_each_place_and_no_other_is() {
        for (at, byte) in (0..BLOCK_BYTES).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
            let mut bytes = [b' '; BLOCK_BYTES];
            bytes[at] = byte;
            let bit = |wanted| u64::from(byte == wanted) << at;
            let expected = Block {
                quotes: bit(b'"'),
                backslashes: bit(b'\\'),
                opening: bit(b'{'),
                closing: bit(b'}'),
                has_controls: byte < b' ',
            };
            assert_eq!(Block::of(&bytes), expected, "byte {byte} at {at}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_found_among_others(halves in [uniform32(any::<u8>()), uniform32(any::<u8>())]) {
            let bytes: [u8; BLOCK_BYTES] = halves.concat().try_into().unwrap();
            let mask = |wanted| (0..BLOCK_BYTES).fold(0, |mask, at| mask | u64::from(bytes[at] == wanted) << at);
            let block = Block::of(&bytes);
            prop_assert_eq!(block.quotes, mask(b'"'));
            prop_assert_eq!(block.backslashes, mask(b'\\'));
            prop_assert_eq!(block.opening, mask(b'{'));
            prop_assert_eq!(block.closing, mask(b'}'));
            prop_assert_eq!(block.has_controls, bytes.iter().any(|byte| *byte < b' '));
        }
    }
}
