//! `/cluster/resources` as a look reads it: the answer grows with the guests, and most of it is figures that nobody here asks
//! for. What is text is borrowed from the body. [`super::Resource`] is the same row as the API describes it.

use serde::Deserialize;

use super::{Flag, Int, Stat, Word};

/// What a look takes from a row.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Row<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Word<'a>,
    #[serde(borrow)]
    pub id: Word<'a>,
    #[serde(borrow)]
    pub node: Option<Word<'a>>,
    pub vmid: Option<Int>,
    #[serde(borrow)]
    pub name: Option<Word<'a>>,
    #[serde(borrow)]
    pub status: Option<Word<'a>>,
    #[serde(borrow)]
    pub lock: Option<Word<'a>>,
    pub template: Option<Flag>,
    /// A guest's state in the HA stack.
    #[serde(borrow)]
    pub hastate: Option<Word<'a>>,
    pub maxcpu: Option<Stat>,
    pub maxmem: Option<Stat>,
    pub mem: Option<Stat>,
    pub disk: Option<Stat>,
    pub maxdisk: Option<Stat>,
    pub uptime: Option<Int>,
    #[serde(borrow)]
    pub storage: Option<Word<'a>>,
    pub shared: Option<Flag>,
}
