//! Reads the two answers that grow with a cluster where they lie: what is wanted is borrowed from the body, and what nobody asks
//! for is stepped over without being decoded.
//!
//! It means what the usual reading of the same answer means, in all of Perl's spellings ([`super::lenient`]); the tests beside
//! the rows hold both against each other. Strict about everything it takes, about brackets and commas, and about the end. Caveat:
//! of a value that it steps over it only looks for the end.

use std::borrow::Cow;
use std::fmt;

use super::lenient::Scalar;
use super::words::{TENS, ends, leading_digits, number, plain_bytes, plain_text, plain_token};
use super::{Flag, Int, Stat};

/// What could not be read, and where. Never quotes the body.
#[derive(Debug, PartialEq, Eq)]
pub struct Odd {
    what: &'static str,
    at: usize,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

/// Objects and lists within one another. Nothing that Proxmox answers comes near it.
const DEPTH_MAX: usize = 128;

/// A body and how far it is read.
pub struct Pull<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Pull<'a> {
    /// Reads `{"data": …}`, whatever else stands in it, to the very end.
    ///
    /// # Errors
    /// What could not be read, for people.
    pub fn data<T>(body: &'a [u8], read: impl FnOnce(&mut Self) -> Result<T, Odd>) -> Result<T, String> {
        if body.is_empty() {
            return Err("the body is empty".to_owned());
        }
        let mut pull = Pull { body, at: 0 };
        pull.envelope(read).map_err(|odd| odd.to_string())
    }

    fn envelope<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Odd>) -> Result<T, Odd> {
        let (mut read, mut data) = (Some(read), None);
        self.object(|name, value| match (name, read.take()) {
            (b"data", Some(read)) => {
                data = Some(read(value)?);
                Ok(())
            }
            (b"data", None) => Err(value.odd("data stands there twice")),
            (_, kept) => {
                read = kept;
                value.skip()
            }
        })?;
        self.space();
        if self.at < self.body.len() {
            return Err(self.odd("expected the end"));
        }
        data.ok_or_else(|| self.odd("expected data"))
    }

    /// Each member of an object, by name. Whoever is called reads its value, or steps over it.
    pub fn object(&mut self, mut member: impl FnMut(&[u8], &mut Self) -> Result<(), Odd>) -> Result<(), Odd> {
        self.take(b'{', "expected an object")?;
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let begin = self.at;
            let (name, escaped) = self.string()?;
            self.take(b':', "expected a colon")?;
            self.space();
            if escaped {
                member(unescaped(&self.body[begin..begin + name.len() + 2], begin)?.as_bytes(), self)?;
            } else {
                member(name, self)?;
            }
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.odd("expected the next member, or the object's end")),
            }
        }
    }

    /// The same of what may come as an empty list where Perl means an empty object.
    pub fn table(&mut self, member: impl FnMut(&[u8], &mut Self) -> Result<(), Odd>) -> Result<(), Odd> {
        if self.next() != Some(b'[') {
            return self.object(member);
        }
        self.list(|pull| Err(pull.odd("expected an object, found a list with something in it")))
    }

    /// Each item of a list.
    pub fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Odd>) -> Result<(), Odd> {
        self.take(b'[', "expected a list")?;
        if self.next() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            item(self)?;
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.odd("expected the next item, or the list's end")),
            }
        }
    }

    /// `None`: it is null.
    #[inline]
    pub fn text(&mut self) -> Result<Option<Cow<'a, str>>, Odd> {
        if self.peek() == Some(b'"') {
            return self.written().map(Some);
        }
        Ok(self.scalar()?.map(Scalar::text))
    }

    #[inline]
    pub fn int(&mut self) -> Result<Option<Int>, Odd> {
        let at = self.at;
        if let Some(int) = self.digits() {
            return Ok(Some(Int(int)));
        }
        let Some(scalar) = self.scalar()? else { return Ok(None) };
        scalar.int().map(Some).ok_or(Odd { what: "expected a whole number", at })
    }

    #[inline]
    pub fn flag(&mut self) -> Result<Option<Flag>, Odd> {
        let at = self.at;
        if let Some(int) = self.digits() {
            return Ok(Some(Flag(int != 0)));
        }
        let Some(scalar) = self.scalar()? else { return Ok(None) };
        scalar.flag().map(Some).ok_or(Odd { what: "expected a boolean in any of Perl's spellings", at })
    }

    /// A figure, or none: an odd one blinds nobody.
    #[inline]
    pub fn stat(&mut self) -> Result<Option<Stat>, Odd> {
        if let Some(int) = self.digits() {
            return Ok(Some(Stat(Some(int as f64))));
        }
        if matches!(self.next(), Some(b'{' | b'[')) {
            self.skip()?;
            return Ok(Some(Stat(None)));
        }
        Ok(self.scalar()?.map(|scalar| scalar.stat()))
    }

    /// Steps over one value, and says whether it was anything but null.
    pub fn present(&mut self) -> Result<bool, Odd> {
        let null = self.null();
        self.skip()?;
        Ok(!null)
    }

    /// Is it null? Steps over nothing.
    pub fn null(&self) -> bool {
        self.rest().starts_with(b"null")
    }

    /// Steps over one value.
    #[inline]
    pub fn skip(&mut self) -> Result<(), Odd> {
        match self.next() {
            Some(b'"') => self.string().map(drop),
            Some(b'{' | b'[') => self.skip_nested(),
            Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.token();
                Ok(())
            }
            _ => Err(self.odd("expected a value")),
        }
    }

    /// What closes must be what was opened; what stands between is not looked at.
    fn skip_nested(&mut self) -> Result<(), Odd> {
        let (mut open, mut depth) = ([0_u8; DEPTH_MAX], 0);
        loop {
            match self.body.get(self.at) {
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(bracket @ (b'{' | b'[')) => {
                    // `}` and `]` come two after what they close.
                    *open.get_mut(depth).ok_or_else(|| self.odd("too deep"))? = bracket + 2;
                    depth += 1;
                }
                Some(bracket @ (b'}' | b']')) => {
                    depth -= 1;
                    if open[depth] != *bracket {
                        return Err(self.odd("another bracket was opened"));
                    }
                    if depth == 0 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                Some(_) => {}
                None => return Err(self.odd("the body ends too early")),
            }
            self.at += 1;
        }
    }

    fn scalar(&mut self) -> Result<Option<Scalar<'a>>, Odd> {
        let at = self.at;
        if self.peek() == Some(b'"') {
            return self.written().map(|text| Some(Scalar::Text(text)));
        }
        match self.token() {
            b"null" => Ok(None),
            b"true" => Ok(Some(Scalar::Bool(true))),
            b"false" => Ok(Some(Scalar::Bool(false))),
            token => {
                let odd = |_| Odd { what: "expected a number, a string or a boolean", at };
                let number: serde_json::Number = serde_json::from_slice(token).map_err(odd)?;
                let int = number.as_i64().map(Scalar::Int);
                Ok(int.or_else(|| number.as_f64().map(Scalar::Float)))
            }
        }
    }

    /// A text in quotes.
    #[inline]
    fn written(&mut self) -> Result<Cow<'a, str>, Odd> {
        let at = self.at;
        let (text, escaped) = self.string()?;
        if escaped {
            return unescaped(&self.body[at..self.at], at).map(Cow::Owned);
        }
        let odd = |_| Odd { what: "expected text in UTF-8", at };
        std::str::from_utf8(text).map(Cow::Borrowed).map_err(odd)
    }

    /// A whole number without sign, point or exponent, short enough not to overflow: nearly all of them. Passes nothing else.
    #[inline]
    fn digits(&mut self) -> Option<i64> {
        // Two words and whatever comes after them: at the body's end somebody else reads it, slower.
        let bytes = self.body.get(self.at..)?.first_chunk::<17>()?;
        let (low, rest) = bytes.split_first_chunk::<8>()?;
        let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(*rest.first_chunk()?));
        let (number, length) = match leading_digits(low) {
            0 => return None,
            8 => match leading_digits(high) {
                8 => return None,
                more => (number(low, 8) * TENS[more] + number(high, more), 8 + more),
            },
            length => (number(low, length), length),
        };
        if !ends(bytes[length]) || (length > 1 && bytes[0] == b'0') {
            return None;
        }
        self.at += length;
        Some(number as i64)
    }

    /// Passes a string. What stands between its quotes, and whether anything there is written with a backslash.
    #[inline(always)]
    fn string(&mut self) -> Result<(&'a [u8], bool), Odd> {
        let begin = self.at + 1;
        // Nearly all that are looked at are shorter than eight bytes.
        if let Some([b'"', word @ ..]) = self.body.get(self.at..).and_then(|rest| rest.first_chunk::<9>())
            && let Some(length) = plain_bytes(u64::from_le_bytes(*word))
            && word[length] == b'"'
        {
            self.at = begin + length + 1;
            return Ok((&self.body[begin..begin + length], false));
        }
        self.long_string()
    }

    fn long_string(&mut self) -> Result<(&'a [u8], bool), Odd> {
        if self.peek() != Some(b'"') {
            return Err(self.odd("expected a string"));
        }
        let (begin, mut escaped) = (self.at + 1, false);
        let mut at = begin;
        loop {
            at += plain_text(&self.body[at.min(self.body.len())..]);
            match self.body.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok((&self.body[begin..at], escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(_) => return Err(Odd { what: "a control character in a string", at }),
                None => return Err(Odd { what: "the body ends within a string", at: begin - 1 }),
            }
        }
    }

    /// Passes what is no string, object or list.
    #[inline]
    fn token(&mut self) -> &'a [u8] {
        let begin = self.at;
        while let Some(bytes) = self.body.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let plain = plain_token(u64::from_le_bytes(*bytes));
            self.at += plain;
            if plain < 8 && ends(bytes[plain]) {
                return &self.body[begin..self.at];
            }
            if plain < 8 {
                self.at += 1;
            }
        }
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
        &self.body[begin..self.at]
    }

    #[inline]
    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), Odd> {
        if self.next() != Some(byte) {
            return Err(self.odd(what));
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        self.space();
        self.peek()
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.body.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.body[self.at.min(self.body.len())..]
    }

    pub fn odd(&self, what: &'static str) -> Odd {
        Odd { what, at: self.at }
    }
}

/// A whole string, quotes and all, that is written with backslashes.
fn unescaped(string: &[u8], at: usize) -> Result<String, Odd> {
    serde_json::from_slice(string).map_err(|_| Odd { what: "expected a string", at })
}
