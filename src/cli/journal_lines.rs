//! `pitlane audit export`: the journal as lines, page by page, so that one of years needs no more memory than a short one.

use std::io::{ErrorKind, Write as _};

use super::Local;
use super::exit::{Ended, Exit, Stop};
use crate::config::Whereabouts;
use crate::model::ids::CaseId;

const PAGE: usize = 5_000;

pub async fn print(local: &dyn Local, state: &Whereabouts, case: Option<CaseId>) -> Ended {
    let mut after = 0;
    loop {
        let page = local.journal_lines(state, case, after, PAGE).await;
        let page = page.map_err(|trouble| Stop::new(Exit::Failed, trouble.text()))?;
        let Some((last, _)) = page.last() else { return Ok(Exit::Done) };
        after = *last;
        match write(&page) {
            Ok(()) => {}
            // A reader that has read enough closes the pipe; that is its choice.
            Err(why) if why.kind() == ErrorKind::BrokenPipe => return Ok(Exit::Done),
            Err(why) => {
                return Err(Stop::new(Exit::Failed, format!("the journal is not written whole: {why}")));
            }
        }
    }
}

fn write(page: &[(u64, String)]) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (_, line) in page {
        writeln!(out, "{line}")?;
    }
    out.flush()
}
