//! Who it is from: the Resource of the process `simhost`.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use opentelemetry_semantic_conventions::attribute;

/// The Resource, as detectors of an SDK would make it. `more` are attributes of the environment, which give
/// way to its own.
pub fn resource(more: &[(String, String)]) -> Resource {
    let more = more.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let mut own = vec![
        KeyValue::new(attribute::SERVICE_NAME, "simhost"),
        KeyValue::new(attribute::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        KeyValue::new(attribute::SERVICE_INSTANCE_ID, instance()),
        KeyValue::new(attribute::HOST_ARCH, architecture()),
        KeyValue::new(attribute::OS_TYPE, system()),
        KeyValue::new(attribute::PROCESS_PID, i64::from(std::process::id())),
    ];
    // Not its arguments: a URL among them may hold a password.
    let executable = std::env::current_exe().ok();
    let executable = executable.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
    own.extend(executable.map(|name| KeyValue::new(attribute::PROCESS_EXECUTABLE_NAME, name.to_owned())));
    own.extend(host().map(|name| KeyValue::new(attribute::HOST_NAME, name)));
    let builder = Resource::builder_empty().with_attributes(more);
    builder.with_detector(Box::new(TelemetryResourceDetector)).with_attributes(own).build()
}

/// A random UUID (RFC 9562, version 4), as the conventions ask of applications.
fn instance() -> String {
    let mut bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The name of this machine, where the system tells it in a file.
fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// In the words of the conventions.
const fn architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "amd64"
    } else if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        std::env::consts::ARCH
    }
}

/// In the words of the conventions.
const fn system() -> &'static str {
    if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_adds_attributes_and_overrides_none() {
        let more = [("service.name", "other"), ("team", "lab")];
        let resource = resource(&more.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let value = |key: &'static str| resource.get(&key.into()).map(|value| value.to_string());
        assert_eq!(value("service.name").as_deref(), Some("simhost"));
        assert_eq!(value("team").as_deref(), Some("lab"));
        assert_eq!(value("telemetry.sdk.name").as_deref(), Some("opentelemetry"));
        let instance = value("service.instance.id").unwrap();
        let parts: Vec<_> = instance.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{instance}");
        assert_eq!(&instance[14..15], "4", "{instance}");
    }
}
