//! Files that a command is given, `-` for what is piped in.

use std::io::Read as _;
use std::path::Path;

use super::exit::{Exit, Stop};

/// The recorded turn of the largest cluster is smaller, and so is any delivery measured.
const FILE_MAX: u64 = 256 << 20;

/// How a file is called in messages.
pub fn name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

/// The whole of a file.
///
/// # Errors
/// It cannot be read, is larger than 256 MiB, or is no text.
pub fn text(file: &Path) -> Result<String, Stop> {
    read(file).map_err(|e| Stop::new(Exit::Usage, format!("{} cannot be read: {e}", name(file))))
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let opened: Box<dyn std::io::Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file)?)
    };
    let read = opened.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_MAX {
        return Err(std::io::Error::other(format!("it is larger than {} MiB", FILE_MAX >> 20)));
    }
    Ok(text)
}

/// A JSON file as what it should be; `want` says what that is, for whoever gave another.
///
/// # Errors
/// As [`text`]; or it is not what is wanted, with its line and column.
pub fn json<T: serde::de::DeserializeOwned>(file: &Path, want: &str) -> Result<T, Stop> {
    let text = text(file)?;
    serde_json::from_str(&text).map_err(|e| {
        let place = format!("{}:{}:{}", name(file), e.line(), e.column());
        Stop::new(Exit::Usage, format!("{place}: {e}; {want}"))
    })
}
