//! A fleet's files: what each may say, and what a cluster gets from the fleet.

use super::*;

const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const FLEET: &str = "state: state\nkill_file: stop\nhttp: {listen: '127.0.0.1:0', tokens_file: tokens.yaml}\nclusters: clusters\n";

/// A fleet's file, a tokens file, and files of clusters.
fn written(fleet: &str, tokens: &str, clusters: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("writable");
    std::fs::create_dir(dir.path().join("clusters")).expect("a directory");
    write("pitlane.yaml", fleet);
    write("tokens.yaml", tokens);
    for (name, text) in clusters {
        write(&format!("clusters/{name}"), text);
    }
    let path = dir.path().join("pitlane.yaml");
    (dir, path)
}

fn tokens(more: &str) -> String {
    format!("tokens:\n  - {{name: alice, role: operate, sha256: {SHA}{more}}}\n")
}

fn wrong(fleet: &str, clusters: &[(&str, &str)]) -> String {
    let (_dir, path) = written(fleet, &tokens(""), clusters);
    serve(&path).expect_err("must be refused").to_string()
}

#[test]
fn each_cluster_has_its_own_state_and_what_the_fleet_says() {
    let (dir, path) = written(
        FLEET,
        &tokens(", clusters: [berlin]"),
        &[
            ("berlin.yaml", "mode: approve\nkill_file: own\n"),
            ("paris.yaml", "name: paris\n"),
            ("notes.txt", "x"),
        ],
    );
    let service = serve(&path).unwrap_or_else(|m| panic!("{m}"));
    let names: Vec<_> = service.clusters().iter().filter_map(|config| config.cluster.as_deref()).collect();
    assert_eq!(names, ["berlin", "paris"]);
    let berlin = service.cluster(Some("berlin")).expect("is there");
    assert_eq!(berlin.state, dir.path().join("state/clusters/berlin"));
    assert_eq!(berlin.kill_files, [dir.path().join("stop"), dir.path().join("clusters/own")]);
    assert_eq!(berlin.http.tokens, service.front().http.tokens);
    assert_eq!(berlin.rules.mode, crate::model::rules::Mode::Approve);
    assert!(berlin.rules.shared.is_none());
    assert!(service.cluster(None).expect_err("which one?").contains("berlin and paris"));
    assert!(service.cluster(Some("oslo")).expect_err("no such one").contains("berlin and paris"));
}

#[test]
fn a_shared_budget_counts_whom_it_names() {
    let budgets =
        "shared_budgets:\n  - {name: row-7, nodes_out_max: 1, clusters: [paris], nodes: {berlin: [pve1]}}\n";
    let (_dir, path) = written(
        &format!("{FLEET}{budgets}"),
        &tokens(""),
        &[("berlin.yaml", ""), ("paris.yaml", ""), ("oslo.yaml", "")],
    );
    let service = serve(&path).unwrap_or_else(|m| panic!("{m}"));
    let counts = |cluster: &str, node: &str| {
        let shared = service.cluster(Some(cluster)).expect("is there").rules.shared.as_ref();
        shared.is_some_and(|shared| shared.budgets[0].counts(&node.into()))
    };
    assert!(counts("paris", "pve9") && counts("berlin", "pve1"));
    assert!(!counts("berlin", "pve2") && !counts("oslo", "pve1"));
}

#[test]
fn what_stands_in_the_wrong_file_is_told_with_the_right_one() {
    let told = wrong(&format!("{FLEET}mode: act\n"), &[("berlin.yaml", "http: {listen: '127.0.0.1:1'}\n")]);
    assert!(told.contains("pitlane.yaml:5:7: mode belongs in each cluster's own file"), "{told}");
    assert!(told.contains("berlin.yaml:1:7: http counts for all clusters"), "{told}");
}

#[test]
fn all_mistakes_of_all_files_are_told_together() {
    let budgets = "shared_budgets:\n  - {name: row, nodes_out_max: 1, clusters: [rome]}\n  - {name: row, nodes_out_max: 1}\n";
    let told = wrong(
        &format!("{FLEET}{budgets}kill_fiel: stop\n"),
        &[("berlin.yaml", "mdoe: act\n"), ("paris.yaml", "name: lutetia\n"), ("a b.yaml", "")],
    );
    for expected in [
        "there is no cluster rome",
        "row is there twice",
        "it counts nobody",
        "kill_fiel is not known",
        "berlin.yaml:1:1: mdoe is not known",
        "name is lutetia, and the file is paris.yaml",
        "the file's name a b.yaml is the cluster's name",
    ] {
        assert!(told.contains(expected), "{expected} in:\n{told}");
    }
}

#[test]
fn two_files_for_one_cluster_are_a_mistake() {
    let of =
        |url: &str| format!("proxmox:\n  endpoints: [{{node: pve1, url: '{url}'}}]\n  token_file: token\n");
    let (one, other) = (of("https://192.0.2.1:8006"), of("https://192.0.2.2:8006"));
    let token = ("token", "pitlane@pve!ctl=00000000-0000-0000-0000-000000000000\n");
    let told = wrong(
        FLEET,
        &[token, ("berlin.yaml", &one), ("paris.yaml", &one), ("oslo.yaml", &other), ("rome.yml", "")],
    );
    let twice = "paris.yaml:1:1: proxmox.endpoints: https://192.0.2.1:8006 is in the file of berlin as well";
    assert!(told.contains(twice), "{told}");
    assert_eq!(told.matches("as well").count(), 1, "{told}");
    assert!(told.contains("rome.yml is not read; call it rome.yaml"), "{told}");
}

#[test]
fn a_token_for_a_cluster_that_is_not_there_is_a_mistake() {
    let (_dir, path) = written(FLEET, &tokens(", clusters: [rome]"), &[("berlin.yaml", "")]);
    let told = serve(&path).expect_err("must be refused").to_string();
    assert!(told.contains("tokens.yaml:1:1: the token of alice is for cluster rome"), "{told}");
    let (_dir, path) = written(FLEET, &tokens(", clusters: []"), &[("berlin.yaml", "")]);
    let told = serve(&path).expect_err("must be refused").to_string();
    assert!(told.contains("this token is good for no cluster"), "{told}");
}

#[test]
fn a_fleet_without_clusters_and_a_cluster_with_a_fleets_keys_are_refused() {
    assert!(wrong(FLEET, &[]).contains("no NAME.yaml is in"));
    assert!(wrong(&FLEET.replace("clusters: clusters", "clusters: nowhere"), &[]).contains("cannot read"));
    let (_dir, path) = written(FLEET, &tokens(""), &[("berlin.yaml", "")]);
    let told = crate::config::load(&path).expect_err("one cluster was asked for").to_string();
    assert!(told.contains("--cluster"), "{told}");
}
