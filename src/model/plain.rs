//! Text of strangers, made fit to stand in a line that people read: on a page, in a letter, in a log, on a terminal.

/// What a part may be called, in characters: no maker comes near.
const NAME_MAX: usize = 200;

/// Would it move the cursor, end the line, or turn the direction of reading? Then the eye would see something else than
/// what stands there.
pub fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A name out of a label: one short line, whatever was sent. Different parts may become one by this; then one case tells
/// of both.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if deceives(c) { ' ' } else { c })
        .take(NAME_MAX)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// For a terminal: lines stay lines, and nothing else does anything.
pub fn printable(text: &str) -> String {
    let keeps = |c: char| matches!(c, '\n' | '\t') || !deceives(c);
    text.chars().map(|c| if keeps(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_taken_out_and_letters_stay() {
        assert_eq!(plain("FAN\u{202e}3\r\nBcc: x\0\u{1b}[31m\u{9b}2J"), "FAN 3  Bcc: x  [31m 2J");
        assert_eq!(plain("Lüfter 3 (vorn) – 前"), "Lüfter 3 (vorn) – 前");
        assert_eq!(plain(&"x".repeat(1 << 20)).len(), NAME_MAX);
        assert_eq!(plain("\u{feff}\u{200b}"), "");
        assert_eq!(printable("a\tb\nc\u{1b}]0;title\u{7}\r"), "a\tb\nc\u{fffd}]0;title\u{fffd}\u{fffd}");
    }
}
