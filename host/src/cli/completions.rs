//! `patchbay completions`: what a shell has to know to complete commands and options.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell as Known;

use super::{CommandLine, output};

/// Print a script with which a shell completes commands and options
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  patchbay completions bash > ~/.local/share/bash-completion/completions/patchbay
  patchbay completions zsh > ~/.zfunc/_patchbay
  patchbay completions fish > ~/.config/fish/completions/patchbay.fish")]
pub(super) struct Completions {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(command: &Completions) -> u8 {
    let shell = match command.shell {
        Shell::Bash => Known::Bash,
        Shell::Zsh => Known::Zsh,
        Shell::Fish => Known::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "patchbay", &mut script);
    output::piece(&script);
    0
}
