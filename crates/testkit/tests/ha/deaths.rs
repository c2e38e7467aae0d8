//! Replicas that end, one way or another, while callers render.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::load::Load;
use crate::report::{Width, found};
use crate::soak::soak;
use crate::stack::Stack;

const BACK: Duration = Duration::from_mins(2);
/// What a next release leaves behind that only adds something, and what takes it away again.
const NEXT_RELEASE: &str = "CREATE TABLE of_the_next_release (id bigint); ALTER TABLE templates ADD COLUMN of_the_next_release text;
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (29991231235959, 'of the next release', true, '', 0)";
const NO_NEXT_RELEASE: &str = "DELETE FROM _sqlx_migrations WHERE version = 29991231235959;
    ALTER TABLE templates DROP COLUMN of_the_next_release; DROP TABLE of_the_next_release";

/// Waits until a replica has ended, and says how long that took.
async fn ended(stack: &Stack, number: usize) -> Duration {
    let began = Instant::now();
    while stack.is_alive(number) {
        assert!(began.elapsed() < BACK, "it does not end:\n{}", stack.log(number));
        sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

/// Starts a replica again and waits until the balancer has it.
async fn back(stack: &mut Stack, number: usize) -> Duration {
    let began = Instant::now();
    stack.start_again(number);
    stack.wait_until_up(stack.replicas(), BACK).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_are_ended_killed_and_restarted_in_turn_fail_no_request() {
    let Some(mut stack) = Stack::start().await else { return };
    let requests = Width::asked().requests();
    let template = stack.make_template("steady", "").await;

    let load = Load::of(&stack, &template);
    load.go_on_for(requests / 3).await;
    stack.signal(0, "TERM");
    let took = ended(&stack, 0).await;
    load.go_on_for(requests / 3).await;
    back(&mut stack, 0).await;
    load.go_on_for(requests.saturating_sub(load.done())).await;
    let came = load.end().await;
    found("4a", "SIGTERM of one of three replicas under load", &format!("{came}; it ended after {took:.1?}"));
    assert_eq!(came.failures(), 0, "{:#?}", came.failed);
    let log = stack.log(0);
    assert!(log.contains("stopped"), "it ended in order:\n{log}");

    let load = Load::of(&stack, &template);
    let mut kills = 0;
    while load.done() < requests {
        load.go_on_for(requests / 6).await;
        let victim = kills % stack.replicas();
        stack.signal(victim, "KILL");
        kills += 1;
        ended(&stack, victim).await;
        load.go_on_for(requests / 6).await;
        back(&mut stack, victim).await;
    }
    let came = load.end().await;
    found("4b", "`kill -9` of one replica after the other under load", &format!("{came}; {kills} kills"));
    assert_eq!(came.failures(), 0, "{:#?}", came.failed);

    let load = Load::of(&stack, &template);
    load.go_on_for(100).await;
    stack.query(NEXT_RELEASE).await;
    load.go_on_for(100).await;
    let began = Instant::now();
    for number in 0..stack.replicas() {
        stack.signal(number, "TERM");
        ended(&stack, number).await;
        back(&mut stack, number).await;
    }
    let took = began.elapsed();
    load.go_on_for(100).await;
    let came = load.end().await;
    let what = "rolling restart of all replicas under load, on tables that a next release has migrated and was gone back from";
    found("14", what, &format!("{came}; it took {:.0} s", took.as_secs_f64()));
    assert_eq!(came.failures(), 0, "{:#?}", came.failed);
    stack.query(NO_NEXT_RELEASE).await;

    soak(&mut stack, &template).await;
}
