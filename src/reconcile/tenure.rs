//! Nothing is begun that could outlive the right to do it, and what was begun ends with that right.
//!
//! So whatever a past holder of a cluster had asked for has ended at its side before the next holder begins.

use std::time::Duration;

use crate::model::seen::Trouble;
use crate::ports::Tenure;

/// With less than this left nothing is begun: it would be cut before it is answered.
const BEGIN_MIN: Duration = Duration::from_secs(1);

/// So often it is asked again: the clock may have been set, or the process stopped meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// May something be begun?
pub(super) fn good(tenure: &dyn Tenure) -> bool {
    tenure.left() >= BEGIN_MIN
}

/// Waits for the answer, no longer than `max` and no longer than the tenure lasts.
///
/// # Errors
/// [`Trouble::TooSlow`]: it may have happened.
pub(super) async fn within<T>(
    tenure: &dyn Tenure,
    max: Duration,
    effect: impl Future<Output = T>,
) -> Result<T, Trouble> {
    tokio::select! {
        // Asked first: a process that was stopped and goes on must not send what it was about to send.
        biased;
        () = over(tenure) => Err(Trouble::TooSlow(
            "this instance's lease of the cluster ended meanwhile; it may have happened, whoever leads now looks".to_owned(),
        )),
        answer = tokio::time::timeout(max, effect) => answer.map_err(|_| {
            Trouble::TooSlow(format!("no answer within {} s; it may have happened", max.as_secs()))
        }),
    }
}

async fn over(tenure: &dyn Tenure) {
    loop {
        match tenure.left() {
            Duration::ZERO => return,
            // No clock is needed for what never ends.
            Duration::MAX => std::future::pending::<()>().await,
            left => tokio::time::sleep(left.min(ASK_EVERY)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::ports::{AlwaysGood, Fence, NoTenure};

    struct Until(Mutex<Instant>);

    impl Tenure for Until {
        fn fence(&self) -> Option<Fence> {
            Some(Fence { holder: "me".into(), term: 1 })
        }

        fn left(&self) -> Duration {
            self.0.lock().expect("whole").saturating_duration_since(Instant::now())
        }
    }

    #[tokio::test]
    async fn a_call_ends_with_the_tenure() {
        let soon = Until(Mutex::new(Instant::now() + Duration::from_millis(20)));
        assert!(!good(&soon), "too little is left to begin");
        let ended = within(&soon, Duration::from_secs(60), std::future::pending::<()>()).await;
        assert!(matches!(&ended, Err(Trouble::TooSlow(text)) if text.contains("lease")), "{ended:?}");
    }

    #[tokio::test]
    async fn what_is_over_sends_nothing_even_if_it_could_at_once() {
        let mut sent = false;
        let ended = within(&NoTenure, Duration::from_secs(60), async { sent = true }).await;
        assert!(ended.is_err() && !sent);
    }

    #[tokio::test]
    async fn what_never_ends_leaves_the_calls_own_deadline() {
        assert!(good(&AlwaysGood));
        let ended = within(&AlwaysGood, Duration::from_millis(5), std::future::pending::<()>()).await;
        assert!(matches!(&ended, Err(Trouble::TooSlow(text)) if text.contains("no answer")), "{ended:?}");
        assert_eq!(within(&AlwaysGood, Duration::from_secs(60), async { 7 }).await, Ok(7));
    }
}
