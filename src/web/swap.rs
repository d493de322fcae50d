//! A surface that can be replaced while it serves: after the configuration was read again, other tokens and other
//! policies count for the next request, also on connections that are open already.
//!
//! It knows nothing of what it replaces: a router is made anew from the new configuration, and put here.

use axum::Router;
use axum::extract::Request;
use tokio::sync::watch;
use tower::ServiceExt;

/// Puts another router in the place of the one that serves.
#[derive(Clone)]
pub struct Replace(watch::Sender<Router>);

impl Replace {
    /// Requests that are being answered are answered by the router that they began with.
    pub fn with(&self, router: Router) {
        drop(self.0.send_replace(router));
    }
}

/// A router that hands every request to the one that counts now.
pub fn replaceable(first: Router) -> (Replace, Router) {
    let (sender, now) = watch::channel(first);
    let front = Router::new().fallback(move |request: Request| {
        let router = now.borrow().clone();
        async move { router.oneshot(request).await }
    });
    (Replace(sender), front)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::{get, post};

    use super::*;

    async fn asked(front: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).expect("a valid request");
        front.clone().oneshot(request).await.expect("a router always answers").status()
    }

    #[tokio::test]
    async fn the_next_request_meets_the_new_router() {
        let (replace, front) = replaceable(Router::new().route("/old", get(|| async { "old" })));
        assert_eq!(asked(&front, "/old").await, StatusCode::OK);
        replace
            .with(Router::new().route("/new", get(|| async { "new" })).route("/old", post(|| async { "x" })));
        assert_eq!(asked(&front, "/new").await, StatusCode::OK);
        assert_eq!(asked(&front, "/old").await, StatusCode::METHOD_NOT_ALLOWED);
    }
}
