//! What the help shows is what works: every example is one that the command line understands, and whatever can be
//! run against a host of tests is run.

use std::os::unix::fs::symlink;
use std::process::Command;

use clap::{CommandFactory as _, Parser as _};
use patchbay::cli::CommandLine;

use serde_json::json;

use super::{check, finish};
use crate::harness::{Host, HostOptions, SECRET, libraries};

/// Examples that no test can run, by how they begin; the other tests here do what they do.
const NOT_RUN: [(&str, &str); 13] = [
    ("patchbay serve", "goes on until it is told to end"),
    ("patchbay install", "builds for minutes"),
    ("patchbay dev", "goes on until it is told to end"),
    ("patchbay events", "goes on until the host ends"),
    ("GROQ_API_KEY=", "goes on until it is told to end"),
    ("ADMIN_TOKEN=", "asks another machine"),
    ("pass show", "needs a store of passwords"),
    ("patchbay keys create", "from then on the others would need the key"),
    ("patchbay keys set", "needs the id of a key"),
    ("patchbay keys revoke", "needs the id of a key"),
    ("patchbay keys rotate", "needs the id of a key"),
    ("patchbay plugin install", "needs a library that a reader has built"),
    ("patchbay plugin test libhello.so", "needs a library that a reader has built"),
];

/// The examples of a command and of all below it.
fn examples(command: &clap::Command, path: &str, found: &mut Vec<String>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let section = help.split_once("Example:\n").or_else(|| help.split_once("Examples:\n"));
    let (_, section) = section.unwrap_or_else(|| panic!("`{path}` has no examples: {help}"));
    let lines: Vec<&str> = section.lines().take_while(|line| line.starts_with("  ")).collect();
    assert!(!lines.is_empty(), "`{path}` has no examples: {help}");
    // What stands behind a gap is said about the example.
    found.extend(lines.iter().map(|line| line.trim().split("  ").next().unwrap().to_owned()));
    for command in command.get_subcommands() {
        examples(command, &format!("{path} {}", command.get_name()), found);
    }
}

fn all() -> Vec<String> {
    let mut found = Vec::new();
    examples(&CommandLine::command(), "patchbay", &mut found);
    found.sort();
    found.dedup();
    found
}

/// The words of our own part of a line for a shell.
fn words(example: &str) -> Vec<String> {
    let own = example.find("patchbay ").unwrap_or_else(|| panic!("not ours: {example}"));
    let mut own = &example[own..];
    for end in [" > ", " < ", " | "] {
        own = own.split(end).next().unwrap();
    }
    let (mut words, mut quoted) = (vec![String::new()], false);
    for letter in own.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words
}

#[test]
fn every_example_is_understood() {
    let all = all();
    assert!(all.len() > 30, "{all:#?}");
    for example in all {
        if let Err(error) = CommandLine::try_parse_from(words(&example)) {
            panic!("{example}\n{error}");
        }
    }
}

#[test]
fn every_level_explains_itself() {
    fn walk(command: &mut clap::Command, path: &mut Vec<String>) {
        path.push("--help".to_owned());
        let output = Command::new(env!("CARGO_BIN_EXE_patchbay")).args(&path[1..]).output().unwrap();
        path.pop();
        check(&output, 0, &["Usage: ", "Example"]);
        for command in command.get_subcommands_mut() {
            path.push(command.get_name().to_owned());
            walk(command, path);
            path.pop();
        }
    }
    walk(&mut CommandLine::command(), &mut vec!["patchbay".to_owned()]);
}

#[tokio::test]
async fn examples_that_a_host_can_serve_are_run() {
    let options = HostOptions::default().custom(&libraries::mock()).builtin(&libraries::openai_compatible());
    let host = Host::start(options.provider("mock", json!({}))).await;
    symlink(env!("CARGO_BIN_EXE_patchbay"), host.dir().join("patchbay")).unwrap();
    std::fs::write(host.dir().join("question.txt"), "why?").unwrap();
    for folder in [".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"] {
        std::fs::create_dir_all(host.dir().join(folder)).unwrap();
    }
    let is_run = |example: &String| {
        // A conversation needs a terminal.
        !NOT_RUN.iter().any(|(begin, _)| example.starts_with(begin)) && example != "patchbay chat"
    };
    let takes_away =
        |it: &String| ["disable", "remove", "enabled=false"].iter().any(|word| it.contains(word));
    let (mut off, on): (Vec<_>, Vec<_>) = all().into_iter().filter(is_run).partition(takes_away);
    off.sort_by_key(|it| it.contains("remove"));
    assert!(on.len() > 15, "{on:#?}");
    // What is switched off cannot be asked: last.
    for example in on.iter().chain(&off) {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("LOCAL_KEY={SECRET} {example}")]);
        let output = finish(shell, host.dir(), host.address(), "").await;
        assert_eq!(output.status.code(), Some(0), "{example}: {output:?}");
    }
    let completions = host.dir().join(".config/fish/completions/patchbay.fish");
    assert!(std::fs::read_to_string(completions).unwrap().contains("provider"));
    host.stop().await;
}
