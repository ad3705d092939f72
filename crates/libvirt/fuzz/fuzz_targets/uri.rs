//! Any text as a URI: refused, or shown as it was written and good for a remote name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ulm_libvirt::Uri;

fuzz_target!(|text: &str| {
    if let Ok(uri) = text.parse::<Uri>() {
        assert_eq!(uri.to_string(), text);
        let _ = (uri.remote_name(), uri.place());
    }
});
