//! Keeps the map of ARCHITECTURE.md true: who may name whom, who may touch the world, how long a file may be.
//!
//! Between crates cargo keeps it: what a manifest does not name cannot be used. What is checked here is that the
//! manifests name only crates above their own, and, for the modules of the server, what they name.

#![expect(clippy::expect_used, reason = "a test that cannot read the sources has failed")]

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The crates in order: each depends only on crates before it.
const CRATES: &[&str] = &[
    "base",
    "xml",
    "journal",
    "cloudtrail",
    "http",
    "sigv4",
    "s3",
    "mfa",
    "policy",
    "import",
    "authorization",
    "upstream",
    "state",
    "audit",
    "followers",
    "control",
    "server",
    "devstore",
];

/// Crates that never name each other, though one comes before the other: the APIs know what reads the journal by ports
/// of their own, which the server connects.
const APART: &[&str] = &["control", "followers"];

/// The crates that do no I/O: no runtime, no log, no files, no network.
const WITHOUT_IO: &[&str] = &["xml", "cloudtrail", "sigv4", "s3", "mfa", "policy", "import", "authorization"];

/// What a manifest of a crate without I/O may not name.
const IO_CRATES: &[&str] = &["hyper", "hyper-util", "rusqlite", "sled", "tokio", "tokio-rustls", "tracing"];

/// The modules of the server by layer: each names only modules before it, and itself.
const SERVER_LAYERS: &[&str] = &["failure", "story", "pipeline", "config", "serve"];

/// Modules, or files of modules, whose outcome depends on their arguments alone.
const PURE: &[&str] = &[
    "crates/base/src/names.rs",
    "crates/base/src/percent.rs",
    "crates/base/src/secret.rs",
    "crates/control/src/cloudtrail/change.rs",
    "crates/control/src/cloudtrail/decide.rs",
    "crates/control/src/iam/action.rs",
    "crates/control/src/iam/decide.rs",
    "crates/control/src/iam/event.rs",
    "crates/control/src/services/action.rs",
    "crates/control/src/services/decide.rs",
    "crates/control/src/services/document.rs",
    "crates/control/src/services/ec2.rs",
    "crates/control/src/services/form.rs",
    "crates/control/src/services/refused.rs",
    "crates/control/src/services/sts.rs",
    "crates/control/src/services/table.rs",
    "crates/sigv4/src",
    "crates/server/src/failure",
    "crates/upstream/src/render.rs",
    "crates/authorization/src",
    "crates/mfa/src",
    "crates/policy/src",
    "crates/import/src",
    "crates/s3/src",
    "crates/state/src/code_queue/order.rs",
    "crates/state/src/code_queue/tries.rs",
    "crates/cloudtrail",
    "crates/http/src/head.rs",
    "crates/http/src/query.rs",
];

/// Words by which a function reaches out of its arguments.
const EFFECTS: &[&str] = &[
    "async fn",
    ".await",
    "SystemTime",
    "Instant::now",
    "std::env",
    "std::fs",
    "tokio::",
    "tracing::",
    "getrandom",
    "println!",
];

/// Crates that have one home, or a few.
const HOMES: &[(&str, &[&str])] = &[
    ("aws_lc_rs", &["cloudtrail", "followers"]),
    ("clap", &["command"]),
    ("flate2", &["cloudtrail", "followers", "import"]),
    ("hyper", &["command", "devstore", "http", "server", "upstream"]),
    ("png", &["mfa"]),
    ("qrcode", &["mfa"]),
    ("quick_xml", &["xml"]),
    ("rusqlite", &["followers"]),
    ("rustls", &["http"]),
    ("rustls_native_certs", &["http"]),
    ("s3s", &["devstore"]),
    ("sled", &["state"]),
    ("tokio_rustls", &["http"]),
    ("totp_rs", &["mfa"]),
];

/// Traits whose implementer is believed, and where one may be.
const TRUSTED_PORTS: &[(&str, &[&str])] = &[
    // What reaches the disk is what was recorded: nothing that the product is built of leaves a write or a sync out.
    ("DiskCalls", &["crates/journal/src/disk.rs"]),
    ("ProvedPart", &["crates/control/src/iam/"]),
    ("SessionOpener", &["crates/state/src/"]),
    ("StepLedger", &["crates/state/src/"]),
    ("TrailRegister", &["crates/state/src/", "crates/followers/src/delivery/progress.rs"]),
];

const LONGEST_FILE: usize = 800;

#[test]
fn a_port_that_a_capability_rests_upon_is_implemented_only_where_it_is_trusted() {
    for (port, homes) in TRUSTED_PORTS {
        let implements = |file: &&PathBuf| implements(&code_of(file), port);
        let files = sources();
        let found: Vec<_> = files.iter().filter(implements).map(|file| file.to_string_lossy()).collect();
        assert!(!found.is_empty(), "nothing implements `{port}`");
        let strangers: Vec<_> = found.iter().filter(|file| !homes.iter().any(|home| file.starts_with(home))).collect();
        assert!(strangers.is_empty(), "only {homes:?} may implement `{port}`: {strangers:?}");
    }
}

/// Whether code implements a trait, with or without its own parameters.
fn implements(code: &str, port: &str) -> bool {
    code.split(port).skip(1).any(|rest| {
        let parameters = rest.strip_prefix('<').and_then(|rest| rest.split_once("> for "));
        rest.starts_with(" for ") || parameters.is_some_and(|(given, _)| !given.contains('\n'))
    })
}

#[test]
fn an_implementation_is_found_with_the_parameters_of_its_trait() {
    assert!(implements("impl Port for A {}", "Port") && implements("impl<T> Port<B<T>> for A {}", "Port"));
    assert!(!implements("fn f<P: Port<A>>() {}\nimpl Other for A {}", "Port"));
}

#[test]
fn a_clients_request_is_sent_upstream_from_one_place() {
    let sent = |file: &PathBuf| code_of(file).matches("upstream.send(").count();
    let senders: Vec<_> = sources().into_iter().filter(|file| sent(file) > 0).collect();
    assert_eq!(senders.len(), 1, "{senders:?}");
    assert!(senders.iter().all(|file| file.starts_with("crates/server")), "{senders:?}");
    assert_eq!(senders.iter().map(sent).sum::<usize>(), 1, "{senders:?}");
}

#[test]
fn a_crate_depends_only_on_crates_before_it() {
    let mut wrong = Vec::new();
    for (place, name) in CRATES.iter().enumerate() {
        for dependency in dependencies(name) {
            let Some(other) = dependency.strip_prefix("portcullis-") else { continue };
            if !CRATES.iter().take(place).any(|before| *before == other) {
                wrong.push(format!("`{name}` may not depend on `{other}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_that_are_apart_do_not_name_each_other_not_even_in_tests() {
    let mut wrong = Vec::new();
    for name in APART {
        let manifest = read(&Path::new("crates").join(name).join("Cargo.toml"));
        let others = APART.iter().filter(|other| *other != name);
        let named = others.filter(|other| {
            manifest.contains(&format!("portcullis-{other}.")) || manifest.contains(&format!("portcullis-{other} "))
        });
        wrong.extend(named.map(|other| format!("`{name}` names `{other}`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_has_its_place_in_the_order() {
    let mut found: Vec<String> = fs::read_dir("crates")
        .expect("the folder is there")
        .map(|entry| entry.expect("the entry is readable").file_name().to_string_lossy().into_owned())
        .collect();
    let mut known: Vec<&str> = CRATES.to_vec();
    found.sort();
    known.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn no_feature_weakens_what_the_product_is_built_of() {
    let mut wrong = Vec::new();
    let manifests = CRATES.iter().map(|name| Path::new("crates").join(name).join("Cargo.toml"));
    for manifest in manifests.chain([PathBuf::from("Cargo.toml")]) {
        let known: &[&str] =
            if manifest == Path::new("Cargo.toml") { &["default", "embedded"] } else { &["test-support"] };
        let text = read(&manifest);
        let features = section(&text, "[features]").filter_map(|line| line.split_once(" = "));
        let unknown = features.filter(|(name, _)| !name.starts_with('#') && !known.contains(name));
        wrong.extend(unknown.map(|(name, _)| format!("{}: feature `{name}`", manifest.display())));
        let for_tests = section(&text, "[dependencies]").filter(|line| line.contains("test-support"));
        wrong.extend(for_tests.map(|line| format!("{}: {line}", manifest.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines of a section of a manifest.
fn section<'a>(manifest: &'a str, title: &str) -> impl Iterator<Item = &'a str> {
    let lines = manifest.lines().skip_while(move |line| *line != title).skip(1);
    lines.take_while(|line| !line.starts_with('['))
}

#[test]
fn the_image_is_built_from_all_that_the_manifest_and_the_sources_name() {
    let dockerfile = read(Path::new("Dockerfile"));
    let copies =
        dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    let copied: Vec<&str> =
        copies.flat_map(|line| line.rsplit_once(' ').map_or("", |(from, _)| from).split(' ')).collect();
    let ignore = read(Path::new(".dockerignore"));
    let sent: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let manifest = read(Path::new("Cargo.toml"));
    let members = section(&manifest, "[workspace]").filter_map(|line| line.strip_prefix("members = "));
    let quoted = members.flat_map(|line| line.split('"').skip(1).step_by(2));
    let paths = manifest.lines().filter_map(|line| line.split_once("path = \"")?.1.split('"').next());
    let mut needed: Vec<PathBuf> = quoted.chain(paths).map(PathBuf::from).collect();
    assert!(needed.len() > CRATES.len(), "{needed:?}");
    needed.extend(["Cargo.toml", "Cargo.lock", "src"].map(PathBuf::from));
    if manifest.contains("[[example]]") {
        needed.push(PathBuf::from("examples"));
    }
    let built = |file: &&PathBuf| !file.components().any(|part| part.as_os_str() == "tests");
    needed.extend(sources().iter().filter(built).flat_map(|file| included(file)));
    let left_out = |by: &[&str]| -> Vec<PathBuf> {
        needed.iter().filter(|path| !by.iter().any(|folder| path.starts_with(folder))).cloned().collect()
    };
    let (uncopied, ignored) = (left_out(&copied), left_out(&sent));
    assert!(uncopied.is_empty(), "the Dockerfile copies none of {uncopied:?}");
    assert!(ignored.is_empty(), ".dockerignore leaves out {ignored:?}");
}

/// The files that a source file holds as text, from the top of the repository on.
fn included(file: &Path) -> Vec<PathBuf> {
    let code = code_of(file);
    let named = code.split("include_").skip(1).filter_map(|rest| rest.split_once("!(\"")?.1.split('"').next());
    let mut found = Vec::new();
    for name in named {
        let mut path = file.parent().unwrap_or(file).to_owned();
        for part in Path::new(name).components() {
            if part == Component::ParentDir {
                path.pop();
            } else {
                path.push(part);
            }
        }
        found.push(path);
    }
    found
}

#[test]
fn a_crate_without_io_depends_on_none_that_does_it() {
    let mut wrong = Vec::new();
    for name in WITHOUT_IO {
        let does_io = dependencies(name).into_iter().filter(|dependency| IO_CRATES.contains(&dependency.as_str()));
        wrong.extend(does_io.map(|dependency| format!("`{name}` does no I/O and depends on `{dependency}`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_crate_without_io_is_refused_files_network_and_clock_by_clippy() {
    let texts: Vec<String> =
        WITHOUT_IO.iter().map(|name| read(&Path::new("crates").join(name).join("clippy.toml"))).collect();
    assert!(
        texts.iter().all(|text| text.contains("disallowed-methods") && text.contains("std::fs::read")),
        "{texts:?}"
    );
    assert!(texts.windows(2).all(|pair| pair.first() == pair.last()), "these crates have one and the same clippy.toml");
}

/// What a crate depends on outside its tests.
fn dependencies(name: &str) -> Vec<String> {
    let manifest = read(&Path::new("crates").join(name).join("Cargo.toml"));
    section(&manifest, "[dependencies]").filter_map(|line| Some(line.split_once(['.', ' '])?.0.to_owned())).collect()
}

#[test]
fn a_module_of_the_server_names_only_modules_before_it() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Ok(place) = file.strip_prefix("crates/server/src") else { continue };
        let first = place.components().next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
        let Some(own) = SERVER_LAYERS.iter().position(|layer| *layer == first.trim_end_matches(".rs")) else {
            continue;
        };
        for named in named_modules(&code_of(&file)) {
            let other = SERVER_LAYERS.iter().position(|layer| *layer == named);
            if other.is_some_and(|other| other > own) {
                wrong.push(format!("{}: may not name `{named}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_pure_module_reaches_for_nothing_but_its_arguments() {
    let mut wrong: Vec<String> =
        PURE.iter().filter(|pure| !Path::new(pure).exists()).map(|pure| format!("{pure}: is not there")).collect();
    for file in sources() {
        let path = file.to_string_lossy().replace('\\', "/");
        if !PURE.iter().any(|pure| path.starts_with(pure)) {
            continue;
        }
        let code = code_of(&file);
        wrong.extend(EFFECTS.iter().filter(|word| code.contains(**word)).map(|word| format!("{path}: `{word}`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_crate_is_named_only_where_it_lives() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some(home) = module_of(&file) else { continue };
        let code = code_of(&file);
        for (name, homes) in HOMES {
            let named = code.contains(&format!("use {name}::")) || code.contains(&format!(" {name}::"));
            if named && !homes.contains(&home.as_str()) {
                wrong.push(format!("{}: `{name}` lives in {}", file.display(), homes.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_is_read_in_one_sitting() {
    let long: Vec<String> = sources()
        .iter()
        .map(|file| (file, read(file).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// Every source file but those that hold tests alone.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from("src")];
    folders.extend(CRATES.iter().map(|name| Path::new("crates").join(name).join("src")));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 20, "the sources were found");
    files
}

/// The crate of a file under `crates`, or the module of one under `src`.
fn module_of(file: &Path) -> Option<String> {
    let place = file.strip_prefix("src").or_else(|_| file.strip_prefix("crates")).ok()?;
    let first = place.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

/// A file without what is compiled for tests alone, and without comments.
fn code_of(file: &Path) -> String {
    without_tests(&read(file))
}

fn without_tests(text: &str) -> String {
    let mut code = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() == "#[cfg(test)]" {
            skip_item(&mut lines, indentation(line));
        } else if !line.trim_start().starts_with("//") {
            code.push(line);
        }
    }
    code.join("\n")
}

/// Skips an item with its attributes. rustfmt ends one with a semicolon or a comma, or with a brace where the item began.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>, begins_at: usize) {
    for line in lines {
        let ends = line.ends_with([';', ',', '}']) && indentation(line) == begins_at;
        if ends && !line.trim_start().starts_with("#[") {
            return;
        }
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[test]
fn only_what_is_compiled_for_tests_alone_is_left_out_of_the_rules() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\n/// Doc.\nfn b() {\n    #[cfg(test)]\n    {\n        c();\n    }\n    d();\n}\n\
                #[cfg(test)]\n#[derive(Debug)]\nmod inner {\n    fn e() {}\n}\nfn f() {}\n#[cfg(test)]\npub use g::{\n    h,\n};\nfn i() {}\n";
    assert_eq!(without_tests(text), "use a;\nfn b() {\n    d();\n}\nfn f() {}\nfn i() {}");
}

fn named_modules(code: &str) -> Vec<String> {
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
        .collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("the file is readable")
}
