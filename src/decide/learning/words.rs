//! The small words of Proxmox's logs: sizes, spans, instants without a time zone. What is none of them is nothing.

use jiff::civil::DateTime;

/// A line's instant by its node's own clock and time zone, as seconds; and what follows. Only differences mean anything,
/// and where clocks are put back even they do not.
pub fn stamped(line: &str) -> (Option<i64>, &str) {
    const LENGTH: usize = "2026-01-01 00:00:00".len();
    let Some((stamp, rest)) = line.split_at_checked(LENGTH) else { return (None, line) };
    match DateTime::strptime("%Y-%m-%d %H:%M:%S", stamp) {
        Ok(at) => (
            at.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp().as_second()),
            rest.trim_start(),
        ),
        Err(_) => (None, line),
    }
}

/// `80.6 MiB`, `512.0 B`, with or without `/s`: bytes, and what follows.
pub fn bytes(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let rest = rest.trim_start_matches(' ');
    let (unit, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()));
    let power = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].iter().position(|known| *known == unit)?;
    let value = number.parse::<f64>().ok()? * 1024_f64.powi(i32::try_from(power).ok()?);
    // The cast saturates; no guest sends half of that.
    (value < 9e18).then_some((value as u64, rest.strip_prefix("/s").unwrap_or(rest)))
}

/// `1h 2m 3s`, `5s`: seconds.
pub fn span(text: &str) -> Option<u64> {
    let mut secs: u64 = 0;
    let mut any = false;
    for word in text.split([' ', ',']).take_while(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
        let (number, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit())?);
        let size = match unit {
            "w" => 604_800,
            "d" => 86_400,
            "h" => 3_600,
            "m" => 60,
            "s" => 1,
            _ => return None,
        };
        secs = secs.checked_add(number.parse::<u64>().ok()?.checked_mul(size)?)?;
        any = true;
    }
    any.then_some(secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_proxmox_writes_them() {
        assert_eq!(bytes("80.6 MiB/s - downtime"), Some((84_515_225, " - downtime")));
        assert_eq!(bytes("512.0 B"), Some((512, "")));
        assert_eq!(bytes("1.5 GiB VM-state"), Some((3 << 29, " VM-state")));
        for wrong in ["", "MiB", "1.5", "1.5 GB", "1..5 GiB", "-1 MiB", "99999999999999999999.0 PiB", "１ B"]
        {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_read_as_proxmox_writes_them() {
        assert_eq!(span("5s"), Some(5));
        assert_eq!(span("1h 2m 3s, still busy"), Some(3_723));
        for wrong in ["", "s", "5", "5x", "99999999999999999999s", "ready"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_instant_is_taken_off_where_there_is_one() {
        let (at, text) = stamped("2026-11-21 23:00:27 migration status: completed");
        assert_eq!((at, text), (Some(1_795_302_027), "migration status: completed"));
        assert_eq!(stamped("TASK OK"), (None, "TASK OK"));
        assert_eq!(stamped("drive-scsi0: transferred ü"), (None, "drive-scsi0: transferred ü"));
    }
}
