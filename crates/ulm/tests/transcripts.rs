//! What people see, as transcripts: `tests/cmd/*.trycmd`. After a wanted change: `TRYCMD=overwrite cargo test -p ulm --test transcripts`.

#[test]
fn the_command_says_what_the_transcripts_say() {
    trycmd::TestCases::new()
        // No daemon is there, whatever runs on this machine.
        .env("ULM_SOCKET", "/nonexistent/ulm.sock")
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.trycmd");
}
