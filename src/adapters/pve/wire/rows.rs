//! `/cluster/resources`, row by row where it lies: the answer grows with the guests, and most of it is figures that nobody here
//! asks for. [`super::Resource`] is the same row as the API describes it.

use std::borrow::Cow;

use super::pull::{Odd, Pull};
use super::{Flag, Int, Stat};

/// What a look takes from a row.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Row<'a> {
    pub kind: Cow<'a, str>,
    pub id: Cow<'a, str>,
    pub node: Option<Cow<'a, str>>,
    pub vmid: Option<Int>,
    pub name: Option<Cow<'a, str>>,
    pub status: Option<Cow<'a, str>>,
    pub lock: Option<Cow<'a, str>>,
    pub template: Option<Flag>,
    /// A guest's state in the HA stack; which one does not matter here.
    pub managed: bool,
    pub maxcpu: Option<Stat>,
    pub maxmem: Option<Stat>,
    pub mem: Option<Stat>,
    pub disk: Option<Stat>,
    pub maxdisk: Option<Stat>,
    pub uptime: Option<Int>,
    pub storage: Option<Cow<'a, str>>,
    pub shared: Option<Flag>,
}

/// Each row in turn.
///
/// # Errors
/// What could not be read, for people; never quotes the body. What was read until then is then worth nothing.
pub fn rows<'a>(body: &'a [u8], mut each: impl FnMut(Row<'a>)) -> Result<(), String> {
    Pull::data(body, |data| {
        data.list(|item| {
            each(Row::read(item)?);
            Ok(())
        })
    })
}

impl<'a> Row<'a> {
    fn read(pull: &mut Pull<'a>) -> Result<Row<'a>, Odd> {
        let mut row = Row::default();
        let (mut kind, mut id) = (None, None);
        pull.object(|name, value| {
            match name {
                b"type" => kind = value.text()?,
                b"id" => id = value.text()?,
                b"node" => row.node = value.text()?,
                b"vmid" => row.vmid = value.int()?,
                b"name" => row.name = value.text()?,
                b"status" => row.status = value.text()?,
                b"lock" => row.lock = value.text()?,
                b"template" => row.template = value.flag()?,
                b"hastate" => row.managed = value.text()?.is_some(),
                b"maxcpu" => row.maxcpu = value.stat()?,
                b"maxmem" => row.maxmem = value.stat()?,
                b"mem" => row.mem = value.stat()?,
                b"disk" => row.disk = value.stat()?,
                b"maxdisk" => row.maxdisk = value.stat()?,
                b"uptime" => row.uptime = value.int()?,
                b"storage" => row.storage = value.text()?,
                b"shared" => row.shared = value.flag()?,
                _ => value.skip()?,
            }
            Ok(())
        })?;
        row.kind = kind.ok_or_else(|| pull.odd("a row without type ends"))?;
        row.id = id.ok_or_else(|| pull.odd("a row without id ends"))?;
        Ok(row)
    }
}
