//! One queue, as EventBridge would fill it.

use std::time::Duration;

use serde_json::{Value, json};

use super::wire::{Answer, Call, Refusal};
use super::{ACCOUNT, Outcome, ScriptedAws, Shared, text, unknown_action};

const QUEUE: &str = "rowcall-events";

#[derive(Debug, Default)]
pub struct Sqs {
    messages: Vec<Message>,
    received: usize,
}

#[derive(Debug)]
struct Message {
    body: String,
    /// Handed out, and invisible until redelivered.
    in_flight: bool,
    deleted: bool,
    times: usize,
}

impl Sqs {
    pub fn perform(&mut self, call: &Call) -> Outcome {
        let body = call.json();
        right_queue(&body)?;
        let answer = match call.action.as_str() {
            "DeleteMessage" => {
                self.delete(text(&body, "ReceiptHandle")).map_err(|words| refused(&words))?;
                json!({})
            }
            "DeleteMessageBatch" => self.delete_batch(&body)?,
            _ => return unknown_action(call),
        };
        Ok(Answer::ok(&answer))
    }

    fn delete_batch(&mut self, body: &Value) -> Result<Value, Refusal> {
        let entries = body["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !(1..=10).contains(&entries.len()) {
            let code = "com.amazonaws.sqs#TooManyEntriesInBatchRequest";
            return Err(Refusal::new(400, code, "Maximum number of entries per request are 10."));
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            match self.delete(text(entry, "ReceiptHandle")) {
                Ok(()) => successful.push(json!({ "Id": entry["Id"] })),
                Err(words) => failed.push(json!({
                    "Id": entry["Id"], "SenderFault": true, "Code": "ReceiptHandleIsInvalid", "Message": words,
                })),
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }

    /// Deleting twice is no error, as on AWS.
    fn delete(&mut self, handle: &str) -> Result<(), String> {
        let index = handle.split('-').nth(1).and_then(|index| index.parse::<usize>().ok());
        match index.and_then(|index| self.messages.get_mut(index)) {
            Some(message) => {
                message.deleted = true;
                Ok(())
            }
            None => Err(format!("The input receipt handle \"{handle}\" is not a valid receipt handle.")),
        }
    }

    fn hand_out(&mut self, most: usize) -> Vec<Value> {
        let mut handed = Vec::new();
        for (index, message) in self.messages.iter_mut().enumerate() {
            if handed.len() == most {
                break;
            }
            if message.in_flight || message.deleted {
                continue;
            }
            message.in_flight = true;
            message.times += 1;
            self.received += 1;
            handed.push(json!({
                "MessageId": format!("message-{index}"), "Body": message.body,
                "ReceiptHandle": format!("handle-{index}-{}", self.received),
                "Attributes": { "ApproximateReceiveCount": message.times.to_string() },
            }));
        }
        handed
    }
}

/// Waits for messages no longer than the caller says.
pub async fn receive(shared: &Shared, body: &Value) -> Outcome {
    right_queue(body)?;
    let most = body["MaxNumberOfMessages"].as_u64().unwrap_or(1) as usize;
    let wait = body["WaitTimeSeconds"].as_u64().unwrap_or(0);
    if !(1..=10).contains(&most) || wait > 20 {
        return Err(refused("MaxNumberOfMessages must be 1 to 10, WaitTimeSeconds 0 to 20."));
    }
    let waiting = async {
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let messages = shared.state.lock().unwrap().sqs.hand_out(most);
            if !messages.is_empty() || wait == 0 {
                return messages;
            }
            changed.await;
        }
    };
    let messages = tokio::time::timeout(Duration::from_secs(wait), waiting).await.unwrap_or_default();
    // An empty queue is told by leaving the list out.
    Ok(Answer::ok(&if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) }))
}

fn right_queue(body: &Value) -> Result<(), Refusal> {
    if text(body, "QueueUrl").ends_with(&format!("/{ACCOUNT}/{QUEUE}")) {
        return Ok(());
    }
    let code = "com.amazonaws.sqs#QueueDoesNotExist";
    Err(Refusal::new(400, code, "The specified queue does not exist."))
}

fn refused(words: &str) -> Refusal {
    Refusal::new(400, "com.amazon.coral.service#InvalidParameterValueException", words)
}

impl ScriptedAws {
    pub fn queue_url(&self) -> String {
        format!("{}/{ACCOUNT}/{QUEUE}", self.url)
    }

    /// Puts a message into the queue.
    pub fn push_event(&self, event: &Value) {
        let message = Message { body: event.to_string(), in_flight: false, deleted: false, times: 0 };
        self.change(|state| state.sqs.messages.push(message));
    }

    /// Everything handed out but not deleted is there again, as after the visibility timeout.
    pub fn redeliver(&self) {
        self.change(|state| state.sqs.messages.iter_mut().for_each(|message| message.in_flight = false));
    }

    /// The events that were deleted, in the order in which they were put in.
    pub fn deleted_events(&self) -> Vec<Value> {
        let state = self.state();
        let deleted = state.sqs.messages.iter().filter(|message| message.deleted);
        deleted.map(|message| serde_json::from_str(&message.body).unwrap()).collect()
    }
}
