//! The server's executable: everything is in the library.

fn main() -> std::process::ExitCode {
    weir::cli::run()
}
