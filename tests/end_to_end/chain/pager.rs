//! Somebody's pager: a webhook that answers 200 and keeps what it was told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use tokio::net::TcpListener;

type Told = Arc<Mutex<Vec<String>>>;

pub struct Pager {
    pub url: String,
    told: Told,
}

impl Pager {
    /// Listens until the test ends.
    pub async fn listen() -> Self {
        let told = Told::default();
        let app = Router::new().route("/", post(page)).with_state(Arc::clone(&told));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, told }
    }

    /// The bodies, in the order of their coming.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().expect("unhurt").clone()
    }
}

async fn page(State(told): State<Told>, body: String) {
    told.lock().expect("unhurt").push(body);
}
