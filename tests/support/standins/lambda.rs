//! Functions for Lambda.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};

use super::{Ministack, unique, variable};

const ZIP: &str = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').writestr('f.py', sys.argv[2])";

impl Ministack {
    /// Makes a function of Python source with a `handler(event, context)`; its name.
    pub async fn function(&self, name: &str, source: &str, timeout: i32) -> String {
        let code = Blob::new(Self::zip(source).await);
        let name = unique(name);
        self.lambda()
            .create_function()
            .function_name(&name)
            .runtime(Runtime::Python311)
            .role("arn:aws:iam::000000000000:role/any")
            .handler("f.handler")
            .timeout(timeout)
            .code(FunctionCode::builder().zip_file(code).build())
            .send()
            .await
            .unwrap();
        name
    }

    /// The source as code of a function.
    pub async fn zip(source: &str) -> Vec<u8> {
        let zip = tempfile::NamedTempFile::new().unwrap();
        let python = tokio::process::Command::new(variable("ROWCALL_TEST_MINISTACK"))
            .args(["-c", ZIP])
            .arg(zip.path())
            .arg(source)
            .status();
        assert!(python.await.unwrap().success());
        std::fs::read(zip.path()).unwrap()
    }
}
