//! Visibility, delay, long polling, redrive and batches.

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName, SendMessageBatchRequestEntry,
};
use loopback_aws::{BACKUP_ACCOUNT, Fault, Loopback};

use crate::client;

/// The export queue as its consumer has it.
struct Queue {
    loopback: Loopback,
    client: Client,
    url: String,
}

impl Queue {
    async fn deployed() -> Self {
        let loopback = client::deployed().await;
        let client = Client::new(&client::backup(&loopback));
        let url = client.get_queue_url().queue_name("dynamodb-backup-export").send().await.expect("deployed");
        let url = url.queue_url.expect("a URL");
        assert_eq!(url, format!("{}/{BACKUP_ACCOUNT}/dynamodb-backup-export", loopback.endpoint()));
        Self { loopback, client, url }
    }

    async fn send(&self, body: &str) {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.expect("sent");
    }

    async fn receive(&self, visibility_seconds: i32, wait_seconds: i32) -> Vec<Message> {
        let call = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let call = call
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let call = call.visibility_timeout(visibility_seconds).wait_time_seconds(wait_seconds);
        call.send().await.expect("received").messages.unwrap_or_default()
    }

    async fn receive_one(&self, visibility_seconds: i32, wait_seconds: i32) -> (Message, String) {
        let mut messages = self.receive(visibility_seconds, wait_seconds).await;
        let message = messages.pop().expect("a message");
        let handle = message.receipt_handle.clone().expect("a handle");
        (message, handle)
    }

    async fn change_visibility(&self, handle: &str, seconds: i32) -> Result<(), String> {
        let call = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(handle);
        let answer = call.visibility_timeout(seconds).send().await;
        answer.map(drop).map_err(|error| error.code().unwrap_or_default().to_owned())
    }

    fn counts(&self, name: &str) -> (usize, usize, usize) {
        let view = self.loopback.queue(BACKUP_ACCOUNT, name);
        (view.visible(), view.in_flight(), view.delayed())
    }
}

fn system_attribute(message: &Message, name: MessageSystemAttributeName) -> &str {
    message.attributes().and_then(|attributes| attributes.get(&name)).map_or("", String::as_str)
}

#[tokio::test]
async fn a_message_is_hidden_while_in_flight_and_gone_when_deleted() {
    let queue = Queue::deployed().await;
    let attribute = MessageAttributeValue::builder()
        .data_type("String")
        .string_value("because")
        .build()
        .expect("complete");
    let sent = queue.client.send_message().queue_url(&queue.url).message_body("hello");
    let sent = sent.message_attributes("reason", attribute).send().await.expect("sent");
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(
        queue.loopback.queue(BACKUP_ACCOUNT, "dynamodb-backup-export").messages()[0].1["reason"],
        "because"
    );

    let (message, handle) = queue.receive_one(30, 0).await;
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(message.message_attributes().and_then(|all| all["reason"].string_value()), Some("because"));
    assert_eq!(system_attribute(&message, MessageSystemAttributeName::ApproximateReceiveCount), "1");
    assert_eq!(system_attribute(&message, MessageSystemAttributeName::SentTimestamp).len(), 13);
    assert_eq!(
        system_attribute(&message, MessageSystemAttributeName::ApproximateFirstReceiveTimestamp).len(),
        13
    );
    assert!(queue.receive(30, 0).await.is_empty());
    assert_eq!(queue.counts("dynamodb-backup-export"), (0, 1, 0));

    queue.client.delete_message().queue_url(&queue.url).receipt_handle(handle).send().await.expect("deleted");
    assert_eq!(queue.counts("dynamodb-backup-export"), (0, 0, 0));
}

#[tokio::test]
async fn a_message_returns_when_its_visibility_ends() {
    let queue = Queue::deployed().await;
    queue.send("again").await;
    queue.receive_one(1, 0).await;
    let started = Instant::now();
    let (message, _) = queue.receive_one(30, 10).await;
    assert!((500..2000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert_eq!(system_attribute(&message, MessageSystemAttributeName::ApproximateReceiveCount), "2");
}

#[tokio::test]
async fn a_delayed_message_arrives_late_and_wakes_the_poll() {
    let queue = Queue::deployed().await;
    let sent = queue.client.send_message().queue_url(&queue.url).message_body("later").delay_seconds(1);
    sent.send().await.expect("sent");
    assert_eq!(queue.counts("dynamodb-backup-export"), (0, 0, 1));
    let started = Instant::now();
    queue.receive_one(30, 10).await;
    assert!((500..2000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_long_poll_wakes_as_soon_as_a_message_arrives_and_ends_empty_otherwise() {
    let queue = Queue::deployed().await;
    let view = queue.loopback.queue(BACKUP_ACCOUNT, "dynamodb-backup-export");
    let started = Instant::now();
    let send_soon = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        view.send("now");
    };
    let (messages, ()) = tokio::join!(queue.receive(30, 20), send_soon);
    assert_eq!(messages.len(), 1);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());

    let started = Instant::now();
    assert!(queue.receive(30, 1).await.is_empty());
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue() {
    let queue = Queue::deployed().await;
    queue.send("poison").await;
    for _ in 0..6 {
        let (_, handle) = queue.receive_one(30, 0).await;
        queue.change_visibility(&handle, 0).await.expect("made visible");
    }
    assert!(queue.receive(30, 0).await.is_empty());
    assert_eq!(queue.counts("dynamodb-backup-export"), (0, 0, 0));
    assert_eq!(queue.counts("dynamodb-backup-export-dlq"), (1, 0, 0));
    assert_eq!(queue.loopback.queue(BACKUP_ACCOUNT, "dynamodb-backup-export-dlq").messages()[0].0, "poison");
}

#[tokio::test]
async fn only_the_newest_handle_of_a_message_in_flight_is_good() {
    let queue = Queue::deployed().await;
    queue.send("x").await;
    let (_, first) = queue.receive_one(30, 0).await;
    queue.change_visibility(&first, 60).await.expect("in flight");
    queue.change_visibility(&first, 0).await.expect("in flight");
    assert_eq!(
        queue.change_visibility(&first, 30).await,
        Err("AWS.SimpleQueueService.MessageNotInflight".into())
    );

    let (_, second) = queue.receive_one(30, 0).await;
    assert_ne!(first, second);
    assert_eq!(queue.change_visibility(&first, 30).await, Err("ReceiptHandleIsInvalid".into()));
    let delete = queue.client.delete_message().queue_url(&queue.url);
    delete.clone().receipt_handle(&first).send().await.expect("accepted");
    assert_eq!(queue.counts("dynamodb-backup-export"), (0, 1, 0));
    delete.receipt_handle(&second).send().await.expect("accepted");
    assert_eq!(queue.change_visibility(&second, 30).await, Err("InvalidParameterValue".into()));
    assert_eq!(queue.change_visibility("rubbish", 30).await, Err("ReceiptHandleIsInvalid".into()));
}

#[tokio::test]
async fn batches_take_ten_and_report_on_each() {
    let queue = Queue::deployed().await;
    let entries = |count: usize| {
        (0..count).map(|id| {
            SendMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .message_body("x")
                .build()
                .expect("complete")
        })
    };
    let batch = |count| {
        queue.client.send_message_batch().queue_url(&queue.url).set_entries(Some(entries(count).collect()))
    };
    let many = batch(11).send().await.expect_err("too many");
    assert!(many.into_service_error().is_too_many_entries_in_batch_request());
    assert!(batch(0).send().await.expect_err("none").into_service_error().is_empty_batch_request());
    let sent = batch(10).send().await.expect("sent");
    assert_eq!((sent.successful().len(), sent.failed().len()), (10, 0));
    assert_eq!(queue.receive(30, 0).await.len(), 10);
}

#[tokio::test]
async fn what_sqs_does_not_take_is_refused() {
    let queue = Queue::deployed().await;
    let send = |body: String| queue.client.send_message().queue_url(&queue.url).message_body(body).send();
    send("x".repeat(1_048_576)).await.expect("just fits");
    assert_eq!(
        send("x".repeat(1_048_577)).await.expect_err("too long").code(),
        Some("InvalidParameterValue")
    );
    let control = send("\u{1}".to_owned()).await.expect_err("a control character");
    assert!(control.into_service_error().is_invalid_message_contents());
    let absent = queue.client.get_queue_url().queue_name("absent").send().await.expect_err("absent");
    assert!(absent.into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn attributes_say_what_a_queue_is_and_holds() {
    let queue = Queue::deployed().await;
    queue.send("x").await;
    let call = queue.client.get_queue_attributes().queue_url(&queue.url);
    let attributes =
        call.attribute_names(aws_sdk_sqs::types::QueueAttributeName::All).send().await.expect("answered");
    let get =
        |name: &str| attributes.attributes().and_then(|all| all.get(&name.into())).map_or("", String::as_str);
    assert_eq!(get("ApproximateNumberOfMessages"), "1");
    assert_eq!(get("VisibilityTimeout"), "30");
    assert_eq!(get("QueueArn"), "arn:aws:sqs:eu-west-1:222222222222:dynamodb-backup-export");
    assert!(get("RedrivePolicy").contains("dynamodb-backup-export-dlq"));
    let urls = queue.client.list_queues().queue_name_prefix("dynamodb-backup-").send().await.expect("listed");
    assert_eq!(urls.queue_urls().len(), 8);
    queue.client.purge_queue().queue_url(&queue.url).send().await.expect("purged");
    assert_eq!(queue.counts("dynamodb-backup-export"), (0, 0, 0));
}

#[tokio::test]
async fn a_duplicate_is_delivered_again_and_deleted_by_itself() {
    let queue = Queue::deployed().await;
    queue.send("twice").await;
    queue.loopback.set_fault(|call| (call.action == "ReceiveMessage").then_some(Fault::Duplicate));
    let (first, handle) = queue.receive_one(30, 0).await;
    queue.loopback.clear_fault();
    let (second, _) = queue.receive_one(30, 0).await;
    assert_eq!((first.message_id, first.body), (second.message_id, second.body));
    queue.client.delete_message().queue_url(&queue.url).receipt_handle(handle).send().await.expect("deleted");
    assert_eq!(queue.counts("dynamodb-backup-export"), (0, 1, 0), "the other one is still there");
}

#[tokio::test]
async fn the_newest_message_may_come_first() {
    let queue = Queue::deployed().await;
    for body in ["old", "new"] {
        queue.send(body).await;
    }
    queue.loopback.set_fault(|call| (call.action == "ReceiveMessage").then_some(Fault::NewestFirst));
    let bodies: Vec<_> = queue.receive(30, 0).await.into_iter().filter_map(|message| message.body).collect();
    assert_eq!(bodies, ["new", "old"]);
}

#[tokio::test]
async fn what_is_ignored_is_answered_and_not_done() {
    let queue = Queue::deployed().await;
    queue.send("kept").await;
    queue.loopback.set_fault(|call| {
        matches!(call.action.as_str(), "DeleteMessage" | "ChangeMessageVisibility").then_some(Fault::Ignored)
    });
    let (_, handle) = queue.receive_one(1, 0).await;
    assert_eq!(queue.change_visibility(&handle, 600).await, Ok(()));
    let (message, handle) = queue.receive_one(600, 3).await;
    assert_eq!(system_attribute(&message, MessageSystemAttributeName::ApproximateReceiveCount), "2");
    queue
        .client
        .delete_message()
        .queue_url(&queue.url)
        .receipt_handle(handle)
        .send()
        .await
        .expect("answered");
    assert_eq!(queue.counts("dynamodb-backup-export"), (1, 0, 0), "it is delivered again at once");
}

#[tokio::test]
async fn in_haste_delays_and_pauses_are_short_and_extensions_are_not() {
    let queue = Queue::deployed().await;
    queue.loopback.hasten_queues(600);
    let call = queue.client.send_message().queue_url(&queue.url).message_body("later").delay_seconds(300);
    call.send().await.expect("sent");
    assert_eq!(queue.receive(30, 0).await.len(), 0, "half a second is left");
    let (_, handle) = queue.receive_one(30, 5).await;
    assert_eq!(queue.change_visibility(&handle, 30).await, Ok(()));
    assert_eq!(queue.counts("dynamodb-backup-export"), (0, 1, 0));
    assert_eq!(queue.change_visibility(&handle, 300).await, Ok(()));
    assert_eq!(queue.receive(30, 5).await.len(), 1);
}

#[tokio::test]
async fn in_queues_that_stand_still_only_what_is_delivered_is_received() {
    let queue = Queue::deployed().await;
    queue.loopback.stop_queues();
    queue.send("first").await;
    queue.send("second").await;
    assert_eq!(queue.receive(30, 0).await.len(), 0);
    let view = queue.loopback.queue(BACKUP_ACCOUNT, "dynamodb-backup-export");
    let [_, second] = &view.kept()[..] else { panic!("two are kept") };
    assert!(view.deliver(second.number));
    let (message, handle) = queue.receive_one(1, 0).await;
    assert_eq!(message.body.as_deref(), Some("second"));
    // Neither given back nor after its visibility timeout does it come by itself.
    assert_eq!(queue.change_visibility(&handle, 0).await, Ok(()));
    assert_eq!(queue.receive(30, 2).await.len(), 0);
    assert!(view.deliver(second.number));
    queue.receive_one(30, 0).await;
    assert_eq!(view.kept().iter().map(|message| message.receives).collect::<Vec<_>>(), [0, 2]);
}

#[tokio::test]
async fn what_was_received_as_often_as_a_test_allows_is_dead() {
    let queue = Queue::deployed().await;
    let view = queue.loopback.queue(BACKUP_ACCOUNT, "dynamodb-backup-export");
    view.allow_receives(1);
    queue.send("once").await;
    let (_, handle) = queue.receive_one(30, 0).await;
    assert_eq!(queue.change_visibility(&handle, 0).await, Ok(()));
    assert_eq!(queue.receive(30, 0).await.len(), 0);
    let dead = queue.loopback.queue(BACKUP_ACCOUNT, "dynamodb-backup-export-dlq");
    assert_eq!(dead.messages().len(), 1);
    dead.purge();
    assert_eq!(dead.messages().len(), 0);
}

#[tokio::test]
async fn who_came_in_by_a_door_is_known_and_gives_everything_back_when_it_closes() {
    let queue = Queue::deployed().await;
    let door = queue.loopback.door().await.expect("a free port");
    let config = client::backup(&queue.loopback).to_builder().endpoint_url(door.endpoint()).build();
    let inside = Client::new(&config);
    queue.send("held").await;
    queue.send("free").await;
    let receive = inside.receive_message().queue_url(&queue.url).max_number_of_messages(1);
    receive.visibility_timeout(600).send().await.expect("received");
    assert_eq!(queue.loopback.calls().last().map(|call| call.door), Some(door.number()));
    assert_eq!((door.most_receives(), queue.counts("dynamodb-backup-export")), (1, (1, 1, 0)));
    queue.receive_one(600, 0).await;

    let (url, waiting) = (queue.url.clone(), inside.clone());
    let waiting =
        tokio::spawn(
            async move { waiting.receive_message().queue_url(url).wait_time_seconds(20).send().await },
        );
    let arrived = |call: &loopback_aws::Call| call.door == door.number() && call.action == "ReceiveMessage";
    while queue.loopback.calls().iter().filter(|call| arrived(call)).count() < 2 {
        tokio::task::yield_now().await;
    }
    drop(door);
    assert!(waiting.await.expect("no panic").is_err(), "the connection breaks");
    assert_eq!(queue.counts("dynamodb-backup-export"), (1, 1, 0), "nobody behind the door takes it again");
    let (message, _) = queue.receive_one(600, 0).await;
    assert_eq!(message.body.as_deref(), Some("held"));
}
