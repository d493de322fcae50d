//! Kills the receiver again and again while alerts come, and asks the next process for everything that was acknowledged:
//! told once more, an alert that was kept is known, and one that was lost is new.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::load::Line;
use super::{alerts, now, server};

/// Alerts of one request, and senders at once.
const EACH: usize = 8;
const SENDERS: usize = 8;

pub fn kills(program: &Path, root: &Path, times: usize) {
    let began = now();
    let mut first = 0;
    let (mut acknowledged, mut cut_off) = (0, 0);
    for round in 0..times {
        let server = server::pitlane(program, root, round > 0);
        let said = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (target, said, over, began) =
                    (server.target.clone(), said.clone(), over.clone(), began.clone());
                std::thread::spawn(move || {
                    let Ok(mut line) = Line::to(&target) else { return 0 };
                    for n in (first + sender..).step_by(SENDERS) {
                        match line.ask(&alerts::delivered(n * EACH, EACH, &began)) {
                            Ok((200, _)) => said.lock().expect("no sender panics").push(n),
                            Ok((status, text)) => panic!("{status}: {text}"),
                            Err(_) => return 1,
                        }
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    0
                })
            })
            .collect();
        // Never twice at the same place of the writer's round.
        std::thread::sleep(Duration::from_micros(20_000 + (round as u64 * 7919) % 180_000));
        drop(server);
        over.store(true, Ordering::Relaxed);
        cut_off += senders.into_iter().map(|sender| sender.join().expect("a sender")).sum::<usize>();
        let said = std::mem::take(&mut *said.lock().expect("all have ended"));
        let server = server::pitlane(program, root, true);
        let mut line = Line::to(&server.target).expect("it listens");
        for n in &said {
            let (status, text) = line.ask(&alerts::delivered(n * EACH, EACH, &began)).expect("an answer");
            assert_eq!(
                (status, text.trim()),
                (200, "0 new, 0 resolved, 8 known"),
                "kill {round}, delivery {n}"
            );
        }
        acknowledged += said.len() * EACH;
        first = said.iter().max().map_or(first, |last| (last / SENDERS + 2) * SENDERS);
    }
    println!(
        "kills: {times} kills under load, {cut_off} requests cut off; all {acknowledged} alerts that were acknowledged \
         were there afterwards"
    );
}
