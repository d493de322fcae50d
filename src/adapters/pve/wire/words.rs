//! Eight bytes of JSON looked at as one number. Each of these says how many of the first bytes are of a kind.

/// What comes after a value that has no end of its own.
#[inline(always)]
pub(super) fn ends(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
}

pub(super) const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// How many of the first of eight bytes are digits.
#[inline(always)]
pub(super) fn leading_digits(word: u64) -> usize {
    // What is a digit is at most nine after this; what is not has one of these bits, or is more than nine.
    let off = word ^ (EACH * u64::from(b'0'));
    let other = (off | (off & !TOP).wrapping_add(EACH * (0x80 - 10))) & TOP;
    (other.trailing_zeros() / 8) as usize
}

/// The number that the first `length` of eight bytes write, one to eight of them, all digits.
#[inline(always)]
pub(super) fn number(word: u64, length: usize) -> u64 {
    if length == 0 {
        return 0;
    }
    // The last digit comes into the top byte, and noughts before the first. Then pairs, fours and all eight are put together.
    let digits = (word ^ (EACH * u64::from(b'0'))) << (64 - 8 * length);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let fours = 0x0000_00ff_0000_00ff_u64;
    let high = (pairs & fours).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & fours).wrapping_mul(1 + (10_000 << 32));
    high.wrapping_add(low) >> 32
}

const EACH: u64 = 0x0101_0101_0101_0101;
const TOP: u64 = 0x8080_8080_8080_8080;

/// Bytes before the first that ends a string or is not text as it stands: a quote, a backslash, a control character. `None`: none
/// of the eight is.
#[inline(always)]
pub(super) fn plain_bytes(word: u64) -> Option<usize> {
    let (quote, backslash) = (word ^ (EACH * u64::from(b'"')), word ^ (EACH * u64::from(b'\\')));
    // A byte's top bit is set where the subtraction borrowed; the lowest one that is set is right.
    let zero = |x: u64| x.wrapping_sub(EACH) & !x;
    let control = word.wrapping_sub(EACH * 0x20) & !word;
    let found = (zero(quote) | zero(backslash) | control) & TOP;
    (found != 0).then(|| (found.trailing_zeros() / 8) as usize)
}

/// The same of many bytes, eight at a time: most of an answer is names and figures that nobody asks for.
#[inline]
pub(super) fn plain_text(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        if let Some(found) = plain_bytes(u64::from_le_bytes(*word)) {
            return n * 8 + found;
        }
    }
    let tail = words.len() * 8;
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    tail + bytes[tail..].iter().position(ends).unwrap_or(bytes.len() - tail)
}

/// Bytes before the first that may end a value without quotes: all that is below `-` or above `z`, and `]`. Some of them end
/// nothing (`+`).
#[inline(always)]
pub(super) fn plain_token(word: u64) -> usize {
    let close = word ^ (EACH * u64::from(b']'));
    let below = word.wrapping_sub(EACH * 0x2d) & !word;
    let found = (below | word.wrapping_add(EACH * 5) | (close.wrapping_sub(EACH) & !close)) & TOP;
    (found.trailing_zeros() / 8) as usize
}
