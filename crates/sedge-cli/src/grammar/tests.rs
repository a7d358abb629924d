use clap::CommandFactory;

use super::*;

/// The help of a command and of every command below it, as `sedge help …` prints it.
fn help_of(mut command: clap::Command, path: &str, out: &mut String) {
    let help = command.render_help();
    out.push_str(&format!("$ {path} --help\n{help}\n"));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help").cloned().collect::<Vec<_>>() {
        let path = format!("{path} {}", sub.get_name());
        help_of(sub.bin_name(&path).term_width(100), &path, out);
    }
}

#[test]
fn the_grammar_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn help_tells_every_command_with_an_example() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut text = String::new();
    help_of(command, "sedge", &mut text);
    insta::assert_snapshot!("help", text);
}

#[test]
fn the_defaults_of_a_deployment_are_the_promised_ones() {
    let cli = Cli::parse_from(["sedge", "deploy", "digits"]);
    let Command::Deploy(args) = cli.command else { panic!("parsed as something else") };
    assert_eq!(args.to, sedge_statement::Selector::whole_mesh());
    assert_eq!(args.slot, None);
    assert_eq!(args.waves, None, "one canary, unless some are named");
    assert_eq!(args.quorum, sedge_statement::Percent::ALL);
    assert_eq!(args.max_failed, 0);
    assert_eq!(args.soak, std::time::Duration::ZERO);
    assert_eq!(args.probation, std::time::Duration::from_secs(3));
    assert_eq!(args.deadline, std::time::Duration::from_secs(7 * 24 * 3600));
    assert!(!args.wait && !args.stage_only && !args.allow_downgrade);
}

#[test]
fn a_models_version_is_not_taken_for_the_programs() {
    let cli = Cli::parse_from(["sedge", "model", "add", "m.onnx", "--version", "1.0", "--json"]);
    assert!(cli.global.json);
    let Command::Model(ModelCommand::Add(args)) = cli.command else { panic!("parsed as something else") };
    assert_eq!(args.version.map(|v| v.to_string()).as_deref(), Some("1.0"));
}

#[test]
fn words_that_make_no_sense_are_named_with_what_may_be_written() {
    let wrong: [&[&str]; 9] = [
        &["deploy", "digits", "--soak", "soon"],
        &["deploy", "digits", "--quorum", "101%"],
        &["deploy", "digits", "--waves", "0"],
        &["deploy", "digits", "--to", "everyone"],
        &["deploy", "digits", "--timeout", "1m"],
        &["agent", "run", "--download-limit", "fast"],
        &["invite", "--role", "emperor"],
        &["infer", "digits"],
        &["demo", "--nodes", "1"],
    ];
    let told = wrong.map(|args| {
        let error = Cli::try_parse_from(std::iter::once(&"sedge").chain(args)).expect_err("it makes no sense");
        assert_eq!(error.exit_code(), 2, "{args:?}");
        format!("$ sedge {}\n{error}", args.join(" "))
    });
    insta::assert_snapshot!("usage", told.join("\n"));
}
