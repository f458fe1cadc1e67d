//! Files in S3, by a server that keeps them.

use aws_sdk_s3::primitives::ByteStream;
use serde_json::json;
use tokio::process::Command;

use super::{Attempt, entry, text};
use crate::support::aws::REGION;
use crate::support::standins::Ministack;

struct Bucket {
    ministack: &'static Ministack,
    name: String,
}

impl Bucket {
    async fn new() -> Self {
        let ministack = Ministack::shared().await;
        Self { ministack, name: ministack.bucket().await }
    }

    async fn put(&self, key: &str, content: &'static str) {
        let call = self.ministack.s3().put_object().bucket(&self.name).key(key);
        call.body(ByteStream::from_static(content.as_bytes())).send().await.unwrap();
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let answer = self.ministack.s3().get_object().bucket(&self.name).key(key).send().await.unwrap();
        answer.body.collect().await.unwrap().to_vec()
    }

    async fn keys(&self) -> Vec<String> {
        let answer = self.ministack.s3().list_objects_v2().bucket(&self.name).send().await.unwrap();
        answer.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }

    /// What the environment of a task says about S3.
    fn environment(&self, command: &mut Command) {
        command.env("AWS_ENDPOINT_URL", self.ministack.url()).env("AWS_REGION", REGION);
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
    }
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn objects_and_folders_come_and_what_was_made_goes() {
    let bucket = Bucket::new().await;
    for (key, content) in [
        ("one/x y+ü%20.nc", "one"),
        ("folder/", ""),
        ("folder/a.nc", "a"),
        ("folder/deep/b.nc", "bb"),
        ("folder/c.txt", "c"),
        ("folderless.nc", "no"),
    ] {
        bucket.put(key, content).await;
    }
    let name = &bucket.name;
    let attempt = Attempt::new(json!({
        "path": format!("s3://{name}/one/x y+ü%20.nc"),
        "folder": format!("s3://{name}/folder/"),
    }))
    .await;
    let to = format!("s3://{name}/out/{{job}}");
    let options =
        ["--input-dir", "in", "--input-pattern", r"\.nc$", "--output-dir", "out", "--output-to", &to];
    let script = "cp -r in/* out; find out -type f | sort | tr '\n' ' '; : > out/empty";
    let mut command = attempt.command(&options, script);
    bucket.environment(&mut command);
    let done = command.output().await.unwrap();
    assert_eq!(text(&done.stdout), "out/a.nc out/deep/b.nc out/x y+ü%20.nc ", "{}", text(&done.stderr));
    let url = |file: &str| format!("s3://{name}/out/1/{file}");
    let made = [("a.nc", "a"), ("deep/b.nc", "bb"), ("empty", ""), ("x y+ü%20.nc", "one")];
    let list = made.map(|(file, content)| entry(file, content, &url(file)));
    assert_eq!(attempt.result().await, json!({ "files": list }));
    for (file, content) in made {
        assert_eq!(bucket.get(&format!("out/1/{file}")).await, content.as_bytes(), "{file}");
    }
    assert!(!attempt.path("in").exists() && !attempt.path("out").exists());
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_large_file_goes_in_parts_and_comes_back_the_same() {
    for checksums in ["WHEN_REQUIRED", "WHEN_SUPPORTED"] {
        let bucket = Bucket::new().await;
        let name = &bucket.name;
        let url = format!("s3://{name}/out/large");
        let attempt = Attempt::new(json!({})).await;
        let options = ["--output-dir", "out", "--output-to", &format!("s3://{name}/out/")];
        // Three parts, the last of them short, and none like another.
        let mut command = attempt.command(&options, "seq 1 9500000 > out/large; cp out/large kept");
        bucket.environment(&mut command);
        let done = command.env("AWS_REQUEST_CHECKSUM_CALCULATION", checksums).output().await.unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        let result = attempt.result().await;
        assert_eq!(result["files"][0]["url"], url);
        assert!(result["files"][0]["bytes"].as_u64().unwrap() > 64 << 20);
        let head = bucket.ministack.s3().head_object().bucket(name).key("out/large").send().await.unwrap();
        assert!(head.e_tag().unwrap().trim_matches('"').ends_with("-3"), "{head:?}");
        let kept = attempt.path("kept");

        let attempt = Attempt::new(json!({ "path": url })).await;
        let mut command =
            attempt.command(&["--input-dir", "in"], &format!("cmp in/large {}", kept.display()));
        bucket.environment(&mut command);
        let done = command.output().await.unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    }
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn what_is_missing_is_named_and_not_tried_again() {
    let bucket = Bucket::new().await;
    bucket.put("there", "x").await;
    let name = &bucket.name;
    for (urls, report) in [
        (
            json!([format!("s3://{name}/there"), format!("s3://{name}/none")]),
            format!("s3://{name}/none cannot be fetched: NoSuchKey"),
        ),
        (json!("s3://no-such-bucket/x"), "s3://no-such-bucket/x cannot be fetched: NoSuchBucket".to_owned()),
        (json!("s3://no-such-bucket/x/"), "s3://no-such-bucket/x/ cannot be listed: NoSuchBucket".to_owned()),
        (json!(format!("s3://{name}/nothing-below/")), "row does not name a file".to_owned()),
    ] {
        let attempt = Attempt::new(json!({ "path": urls })).await;
        let mut command = attempt.command(&["--input-dir", "in"], "echo started");
        bucket.environment(&mut command);
        let done = command.output().await.unwrap();
        assert_eq!((done.status.code(), text(&done.stdout)), (Some(65), ""));
        let told = attempt.report().await;
        assert!(told.starts_with(&format!("failed retry false {report}")), "{told}");
        assert!(!attempt.path("in").exists());
    }
}

#[tokio::test]
#[ignore = "needs ministack and Docker: ./dev test"]
async fn a_program_that_fails_stores_nothing() {
    let bucket = Bucket::new().await;
    let attempt = Attempt::new(json!({})).await;
    let to = format!("s3://{}/out/", bucket.name);
    let mut command = attempt.command(&["--output-dir", "out", "--output-to", &to], "echo > out/x; exit 4");
    bucket.environment(&mut command);
    assert_eq!(command.output().await.unwrap().status.code(), Some(4));
    assert_eq!(bucket.keys().await, Vec::<String>::new());
}
