//! The supervisor without the helper, and with it where it was built (`--features av`).

use super::*;
use crate::runtime::task::Tasks;
use std::time::Duration;

#[tokio::test]
async fn without_the_executable_the_reason_is_told() {
    let tasks = Tasks::new();
    let helper = Helper::new(Settings { program: "/nowhere/weir-av".into(), ..Settings::default() }, &tasks);
    let told = helper.start(crate::proto::av::Ask::Close).await.err().unwrap();
    assert!(told.contains("/nowhere/weir-av"), "{told}");
}

#[tokio::test]
async fn a_helper_that_dies_ends_its_jobs_and_the_next_job_gets_a_new_one() {
    let tasks = Tasks::new();
    // `true` ends at once; its jobs are told so.
    let helper = Helper::new(Settings { program: "/bin/true".into(), ..Settings::default() }, &tasks);
    for _ in 0..3 {
        if let Ok(mut task) = helper.start(crate::proto::av::Ask::Close).await {
            let told = tokio::time::timeout(Duration::from_secs(10), task.next()).await.expect("told in time");
            assert_eq!(told, None);
        }
    }
    assert!(tasks.finish(Duration::from_secs(5)).await.is_empty());
}
