//! Real containers: what is around a document in one, and that none is left. Needs a container runtime and the product's image.
#![cfg(test)]

mod support;

use std::process::Command;
use std::time::Duration;

use chromium::container::ContainerOptions;
use chromium::{ChromiumError, Pool};
use support::{job, scripted, soon, text};
use tokio::time::Instant;

const LABEL: &str = "pulp-engine.render=chromium-tests";

fn options() -> ContainerOptions {
    ContainerOptions {
        runtime: "docker".into(),
        image: "pulp-engine:0.1.0".to_owned(),
        memory_mb: 1024,
        cpus: Some("1.5".to_owned()),
        seccomp: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/seccomp.json").into()),
        environment: vec![("PULP_RUNTIME_DIR".to_owned(), "/tmp/chromium".to_owned())],
        label: LABEL.to_owned(),
        tabs: 2,
        queue_depth: 20,
        html_bytes: 32 * 1024 * 1024,
        output_bytes: 128 * 1024 * 1024,
    }
}

/// What the runtime answers.
fn docker(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn running() -> Vec<String> {
    let found = docker(&["ps", "--all", "--quiet", "--filter", &format!("label={LABEL}")]);
    found.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker and the image pulp-engine:0.1.0"]
async fn a_document_is_printed_in_a_container_without_network_or_rights_and_none_is_left() {
    let began = Instant::now();
    let pool = Pool::contain(options()).await.unwrap();
    println!("the first container was warm after {:?}", began.elapsed());
    support::eventually("two are warm", || pool.status().healthy_tabs == 2).await;
    for container in running() {
        let what = "{{.HostConfig.NetworkMode}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.Memory}} \
                    {{.HostConfig.PidsLimit}} {{.HostConfig.LogConfig.Type}} {{.Config.User}}";
        assert_eq!(docker(&["inspect", "--format", what, &container]), "none true [ALL] 1073741824 512 none 10001:10001");
    }
    let mut waits = Vec::new();
    for number in 0..6 {
        let began = Instant::now();
        let printed = pool.print(job(&format!("<p>document {number}")), soon()).await.unwrap();
        waits.push(began.elapsed());
        assert_eq!(text(&printed.pdf), format!("document {number}"));
    }
    println!("one after the other they took {waits:?}");
    // A client that leaves, and a deadline that passes.
    let endless = || scripted("<p>busy<script>while(true){}</script>");
    let leaving = tokio::spawn({
        let pool = pool.clone();
        async move { pool.print(endless(), soon()).await }
    });
    support::eventually("it is printing", || pool.status().in_use == 1).await;
    leaving.abort();
    support::eventually("its place is free", || pool.status().in_use == 0).await;
    let late = pool.print(endless(), Instant::now() + Duration::from_secs(3)).await;
    assert!(matches!(late, Err(ChromiumError::DeadlineExceeded { .. })), "{late:?}");
    // Memory that is used up ends the container, and the document with it.
    let hungry = scripted("<p>x<script>const all=[];while(true){all.push(new Array(1e6).fill(all.length))}</script>");
    let crashed = pool.print(hungry, Instant::now() + Duration::from_mins(1)).await;
    assert!(matches!(crashed, Err(ChromiumError::Crashed { .. } | ChromiumError::DeadlineExceeded { .. })), "{crashed:?}");
    assert_eq!(text(&pool.print(job("<p>as ever"), soon()).await.unwrap().pdf), "as ever");
    pool.close(soon()).await;
    assert_eq!(running(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker"]
async fn an_image_that_is_not_there_is_told_with_the_runtimes_words() {
    let options = ContainerOptions { image: "no-such-image:1".to_owned(), label: format!("{LABEL}-none"), ..options() };
    let said = Pool::contain(options).await.unwrap_err().to_string();
    assert!(said.contains("RENDER_CONTAINER_IMAGE=no-such-image:1") && said.contains("No such image"), "{said}");
}
