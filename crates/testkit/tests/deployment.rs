//! The files that put servers up (the image, the compose files, the manifests, the balancer): what they name is there, and nothing is
//! open that need not be.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize as _;
use serde_yaml_ng::Value;

const MANIFESTS: &str = "docs/operations/kubernetes";
const RENDER_TIER: &str = "docker-compose.render-tier.yml";
/// How long Chromium and PostgreSQL may take to end after the last request.
const TIDY_UP: Duration = Duration::from_secs(10);
/// What a server with a database of others waits for its balancer when nothing is set.
const DRAIN_DELAY: Duration = Duration::from_secs(5);

fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents of a YAML file, with `<<` done.
fn yaml(path: &str) -> Vec<Value> {
    let whole = text(path);
    let documents = serde_yaml_ng::Deserializer::from_str(&whole).map(|document| {
        let mut value = Value::deserialize(document).unwrap_or_else(|error| panic!("{path}: {error}"));
        // What is merged may merge something itself.
        for _ in 0..3 {
            value.apply_merge().unwrap();
        }
        value
    });
    documents.collect()
}

/// The manifests, without the rules of the adapter, which are part of somebody else's file.
fn manifests() -> Vec<(String, Value)> {
    let folder = std::fs::read_dir(repository().join(MANIFESTS)).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let names = paths.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let names: BTreeSet<String> = names.filter(|name| name != "prometheus-adapter.yaml").collect();
    names
        .into_iter()
        .flat_map(|name| yaml(&format!("{MANIFESTS}/{name}")).into_iter().map(move |document| (name.clone(), document)))
        .collect()
}

fn manifest(kind: &str, name: &str) -> Value {
    let found = manifests().into_iter().find(|(_, document)| document["kind"] == kind && document["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}")).1
}

/// Names and whether they are secrets, from the manual that is made of the settings.
fn settings() -> Vec<(String, bool)> {
    let manual = text("docs/configuration.md");
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    rows.map(|(name, _)| (name.split('`').next().unwrap().to_owned(), name.contains("(secret)"))).collect()
}

/// The setting itself, also where a file holds its value.
fn setting(name: &str) -> (String, bool) {
    let all = settings();
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    all.iter().find(|(known, _)| known == name || known == plain).unwrap_or_else(|| panic!("{name} is no setting")).clone()
}

fn names(mapping: &Value) -> Vec<String> {
    mapping.as_mapping().map(|mapping| mapping.keys().map(|key| key.as_str().unwrap().to_owned()).collect()).unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_sequence().map_or(&[], Vec::as_slice)
}

fn strings(value: &Value) -> Vec<&str> {
    items(value).iter().map(|item| item.as_str().unwrap()).collect()
}

fn seconds(value: &Value) -> Duration {
    let written = value.as_str().unwrap();
    Duration::from_secs(written.strip_suffix('s').unwrap_or_else(|| panic!("{written} is no number of seconds")).parse().unwrap())
}

fn milliseconds(value: &Value) -> Duration {
    Duration::from_millis(value.as_str().unwrap().parse().unwrap())
}

fn paths() -> BTreeSet<String> {
    let description: serde_json::Value = serde_json::from_str(&text("docs/openapi.json")).unwrap();
    description["paths"].as_object().unwrap().keys().cloned().collect()
}

/// The pods that a manifest makes, if it makes any.
fn template(document: &Value) -> &Value {
    let nested = &document["spec"]["jobTemplate"]["spec"]["template"];
    if nested.is_mapping() { nested } else { &document["spec"]["template"] }
}

fn containers(document: &Value) -> &[Value] {
    items(&template(document)["spec"]["containers"])
}

#[test]
fn the_manifests_set_only_what_there_is_and_take_secrets_from_the_secret() {
    let mut seen = 0;
    for (file, document) in manifests() {
        if document["kind"] == "ConfigMap" {
            for name in names(&document["data"]) {
                assert!(!setting(&name).1, "{file}: the secret {name} lies in the open");
                seen += 1;
            }
        }
        for container in containers(&document) {
            for variable in items(&container["env"]) {
                let name = variable["name"].as_str().unwrap();
                assert!(setting(name).1, "{file}: {name} is no secret and belongs into the ConfigMap");
                let reference = &variable["valueFrom"]["secretKeyRef"];
                assert_eq!((reference["name"].as_str(), reference["key"].as_str()), (Some("pulp-engine"), Some(name)), "{file}");
                // The one that only some need must not keep the pods of the others from starting.
                let not_all = name == "DATABASE_DIRECT_URL" || (name == "RENDER_WORKER_SECRET" && file == "deployment.yaml");
                assert_eq!(reference["optional"] == true, not_all, "{file}: {name}");
                seen += 1;
            }
            for source in items(&container["envFrom"]) {
                manifest("ConfigMap", source["configMapRef"]["name"].as_str().unwrap());
            }
        }
    }
    assert!(seen > 10, "{seen} settings");
    // Whoever follows the page makes every key that the manifests take.
    let page = text("docs/operations/kubernetes/README.md");
    for container in containers(&manifest("Deployment", "pulp-engine")) {
        for variable in items(&container["env"]) {
            let name = variable["name"].as_str().unwrap();
            let made = page.contains(&format!("--from-file={name}")) || page.contains(&format!("{{\\\"{name}\\\":"));
            assert!(made, "the page makes no {name}");
        }
    }
}

#[test]
fn the_manifests_fit_each_other_and_the_interface() {
    let paths = paths();
    let deployment = manifest("Deployment", "pulp-engine");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let selects = |selector: &Value| {
        let wanted = selector.as_mapping().unwrap();
        assert!(!wanted.is_empty());
        wanted.iter().all(|(label, value)| labels[label] == *value)
    };
    assert!(selects(&deployment["spec"]["selector"]["matchLabels"]));
    assert!(selects(&manifest("Service", "pulp-engine")["spec"]["selector"]));
    assert!(selects(&manifest("Service", "pulp-engine-servers")["spec"]["selector"]));
    assert!(selects(&manifest("PodDisruptionBudget", "pulp-engine")["spec"]["selector"]["matchLabels"]));
    assert!(selects(&manifest("NetworkPolicy", "pulp-engine")["spec"]["podSelector"]["matchLabels"]));
    // Requests must not be sent to what is no server.
    let service = manifest("Service", "pulp-engine");
    let selector = service["spec"]["selector"].as_mapping().unwrap();
    for (kind, name) in [("Job", "pulp-engine-migrate"), ("CronJob", "pulp-engine-backup"), ("Job", "pulp-engine-restore")] {
        let other = manifest(kind, name);
        let labels = &template(&other)["metadata"]["labels"];
        assert!(!selector.iter().all(|(label, value)| labels[label] == *value), "{name} is sent requests");
    }

    let server = &containers(&deployment)[0];
    let ports: Vec<&str> = items(&server["ports"]).iter().map(|port| port["name"].as_str().unwrap()).collect();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &server[probe]["httpGet"];
        assert!(paths.contains(get["path"].as_str().unwrap()), "{probe}: {get:?} is no path");
        assert!(ports.contains(&get["port"].as_str().unwrap()), "{probe}");
    }
    let scaler = manifest("HorizontalPodAutoscaler", "pulp-engine");
    assert_eq!(scaler["spec"]["scaleTargetRef"]["name"], deployment["metadata"]["name"]);
    assert_eq!(scaler["spec"]["minReplicas"], deployment["spec"]["replicas"]);
    let figure = scaler["spec"]["metrics"][0]["pods"]["metric"]["name"].as_str().unwrap();
    assert_eq!(yaml(&format!("{MANIFESTS}/prometheus-adapter.yaml"))[0]["rules"][0]["name"]["as"], figure);

    let data = &manifest("ConfigMap", "pulp-engine")["data"];
    let stop = milliseconds(&data["SHUTDOWN_DRAIN_DELAY_MS"]) + milliseconds(&data["SHUTDOWN_GRACE_MS"]) + TIDY_UP;
    let granted = Duration::from_secs(deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap());
    assert!(granted >= stop, "a stop takes up to {stop:?} and is granted {granted:?}");
    let probe = &server["readinessProbe"];
    let noticed = Duration::from_secs(probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap());
    assert!(milliseconds(&data["SHUTDOWN_DRAIN_DELAY_MS"]) > noticed, "the cluster notices after {noticed:?}");
}

#[test]
fn no_pod_is_root_writes_outside_its_folders_or_has_a_right_to_spare() {
    let workloads: Vec<Value> = manifests().into_iter().map(|(_, document)| document).filter(|one| !containers(one).is_empty()).collect();
    assert!(workloads.len() >= 4);
    for workload in &workloads {
        let pod = &template(workload)["spec"];
        assert_eq!((&pod["automountServiceAccountToken"], &pod["enableServiceLinks"]), (&Value::Bool(false), &Value::Bool(false)));
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert!(pod["securityContext"]["seccompProfile"]["type"].is_string());
        for container in containers(workload) {
            let context = &container["securityContext"];
            assert_eq!(
                (&context["allowPrivilegeEscalation"], &context["readOnlyRootFilesystem"]),
                (&Value::Bool(false), &Value::Bool(true))
            );
            assert_eq!(strings(&context["capabilities"]["drop"]), ["ALL"]);
            assert!(container["resources"]["limits"]["memory"].is_string());
            let there: Vec<&str> = items(&pod["volumes"]).iter().map(|volume| volume["name"].as_str().unwrap()).collect();
            for mount in items(&container["volumeMounts"]) {
                assert!(there.contains(&mount["name"].as_str().unwrap()));
            }
        }
    }
    let servers = manifest("Deployment", "pulp-engine");
    assert_eq!(template(&servers)["spec"]["securityContext"]["seccompProfile"]["localhostProfile"], "pulp-engine.json");
}

#[test]
fn backups_on_kubernetes_go_to_a_volume_one_at_a_time_and_a_bad_one_removes_none() {
    let claim = manifest("PersistentVolumeClaim", "pulp-engine-backups");
    let (night, restore) = (manifest("CronJob", "pulp-engine-backup"), manifest("Job", "pulp-engine-restore"));
    for workload in [&night, &restore] {
        let volumes = items(&template(workload)["spec"]["volumes"]);
        let backups = volumes.iter().find(|volume| volume["name"] == "backups").unwrap();
        assert_eq!(backups["persistentVolumeClaim"]["claimName"], claim["metadata"]["name"]);
        // The settings of the servers, all but those of requests.
        let server = manifest("Deployment", "pulp-engine");
        let given: Vec<&Value> = items(&containers(workload)[0]["env"]).iter().map(|variable| &variable["name"]).collect();
        for variable in items(&containers(&server)[0]["env"]) {
            let name = variable["name"].as_str().unwrap();
            let of_requests = ["EDITOR_TOKEN_SECRET", "METRICS_TOKEN", "RENDER_WORKER_SECRET"].contains(&name);
            assert!(of_requests || given.contains(&&variable["name"]), "{name} is not given");
        }
        assert_eq!(containers(workload)[0]["envFrom"][0], containers(&server)[0]["envFrom"][0]);
        assert_eq!(containers(workload)[0]["image"], containers(&server)[0]["image"]);
    }
    assert_eq!(night["spec"]["concurrencyPolicy"], "Forbid");
    let container = &containers(&night)[0];
    assert_eq!(strings(&container["command"]), ["tini", "--", "sh", "-ec"], "the first failure ends it");
    let script = strings(&container["args"])[0];
    let (made, removed) = (script.find("backup create --full").unwrap(), script.find("head -n -14").unwrap());
    assert!(made < removed, "old backups go before there is a new one");
    assert_eq!(strings(&containers(&restore)[0]["args"])[..2], ["backup", "restore"]);
}

/// What stands behind `name` in the blocks of commands for Kubernetes on a page.
fn named_to_kubectl(page: &str, name: &str) -> BTreeSet<String> {
    let whole = text(page);
    let blocks = whole.split("```sh kubernetes\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let words: Vec<String> = blocks.flat_map(str::split_whitespace).map(str::to_owned).collect();
    words.windows(2).filter(|pair| pair[0] == name).map(|pair| pair[1].clone()).collect()
}

#[test]
fn the_commands_for_kubernetes_name_files_and_objects_that_there_are() {
    let there: BTreeSet<String> = manifests().into_iter().map(|(file, _)| file).collect();
    let objects: BTreeSet<String> = manifests()
        .into_iter()
        .map(|(_, one)| format!("{}/{}", one["kind"].as_str().unwrap().to_lowercase(), one["metadata"]["name"].as_str().unwrap()))
        .collect();
    let mut applied = BTreeSet::new();
    for page in ["docs/operations/kubernetes/README.md", "docs/operations/backup-in-containers.md", "docs/operations/upgrade.md"] {
        applied.extend(named_to_kubectl(page, "-f"));
        let whole = text(page);
        let commands = whole.lines().filter(|line| line.starts_with("kubectl "));
        for word in commands.flat_map(str::split_whitespace).map(|word| word.trim_start_matches("--from=")) {
            let kind = word.split('/').next().unwrap();
            if ["deployment", "job", "cronjob"].contains(&kind) && word.contains('/') && word != "job/pulp-engine-backup-now" {
                assert!(objects.contains(word), "{page}: {word} is in no manifest");
            }
        }
    }
    assert_eq!(applied, there, "files that are applied by the pages, and files that there are");
}

/// Every `${NAME…}` of a compose file, with what follows the name: `:?…` or `:-…`.
fn interpolated(whole: &str) -> Vec<(&str, &str)> {
    let pieces = whole.split("${").skip(1).map(|piece| piece.split('}').next().unwrap());
    pieces
        .map(|piece| piece.split_at(piece.find(':').unwrap_or_else(|| panic!("${{{piece}}} has neither a default nor a demand"))))
        .collect()
}

#[test]
fn the_compose_files_set_only_what_there_is_and_hold_no_secret() {
    let whole = text("docker-compose.ha.yml") + &text(RENDER_TIER);
    let example = text(".env.example");
    for (name, rest) in interpolated(&whole) {
        if rest.starts_with(":?") {
            let line = example.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            assert_eq!(line, Some(""), ".env.example must have {name}, and no value for it");
        } else {
            let value = rest.strip_prefix(":-").unwrap();
            assert!(example.contains(&format!("# {name}={value}\n")), ".env.example does not tell of {name}={value}");
        }
    }
    let file = &yaml("docker-compose.ha.yml")[0];
    let tier = &yaml(RENDER_TIER)[0];
    for (file, service) in [(file, "api"), (file, "migrate"), (file, "backup"), (tier, "api"), (tier, "render")] {
        let variables = &file["services"][service]["environment"];
        for name in names(variables) {
            let (known, secret) = setting(&name);
            let value = variables[known.as_str()].as_str().unwrap_or_default();
            assert!(!secret || value.contains(":?"), "{service}: {name} is a secret and stands there as {value}");
        }
    }
    for service in ["postgres", "s3"] {
        let variables = &file["services"][service]["environment"];
        for name in names(variables).iter().filter(|name| ["PASSWORD", "KEY"].iter().any(|word| name.contains(word))) {
            assert!(variables[name.as_str()].as_str().unwrap().contains(":?"), "{service}: {name} could be empty");
        }
    }
    assert!(text(".gitignore").lines().any(|line| line == "/.env"), "a commit could take secrets along");
}

#[test]
fn in_the_compose_files_only_the_balancer_is_reached_and_every_container_is_closed_and_bounded() {
    for path in ["docker-compose.ha.yml", "docker-compose.yml"] {
        let mut file = yaml(path).remove(0);
        if path.contains("ha") {
            // The other file only adds to it what servers are told.
            file["services"]["render"] = yaml(RENDER_TIER)[0]["services"]["render"].clone();
        }
        let services = names(&file["services"]);
        let published: Vec<&String> = services.iter().filter(|service| file["services"][service.as_str()]["ports"].is_sequence()).collect();
        assert_eq!(published, [if path.contains("ha") { "lb" } else { "server" }], "{path}");
        for name in &services {
            let service = &file["services"][name.as_str()];
            assert_eq!((&service["read_only"], strings(&service["cap_drop"])), (&Value::Bool(true), vec!["ALL"]), "{path}: {name}");
            let options = strings(&service["security_opt"]);
            assert!(options.contains(&"no-new-privileges:true"), "{path}: {name}");
            let limits = &service["deploy"]["resources"]["limits"];
            assert!(limits["memory"].is_string() && limits["pids"].is_u64(), "{path}: {name} has no limit");
            assert!(service["logging"]["options"]["max-size"].is_string(), "{path}: the log of {name} grows for ever");
            let runs_chromium = ["api", "server", "render"].contains(&name.as_str());
            assert!(!runs_chromium || options.contains(&"seccomp=./deploy/seccomp.json"), "{path}: Chromium without its sandbox");
            for address in strings(&service["ports"]) {
                assert!(address.contains(":-127.0.0.1}"), "{path}: {name} is open to other machines unless told otherwise");
            }
        }
    }
    let file = &yaml("docker-compose.ha.yml")[0];
    assert_eq!(strings(&file["services"]["backup"]["profiles"]), ["backup"], "a backup is made when somebody asks for it");
    for network in ["database", "objects"] {
        assert_eq!(file["networks"][network]["internal"], true);
    }
    let api = &file["services"]["api"];
    let stop = DRAIN_DELAY + milliseconds(&api["environment"]["SHUTDOWN_GRACE_MS"]) + TIDY_UP;
    assert!(seconds(&api["stop_grace_period"]) >= stop, "a stop takes up to {stop:?}");
    assert!(seconds(&yaml("docker-compose.yml")[0]["services"]["server"]["stop_grace_period"]) >= Duration::from_secs(30) + TIDY_UP);
}

#[test]
fn the_balancer_asks_what_there_is_and_waits_longer_than_the_servers() {
    let whole = text("deploy/ha/haproxy.cfg");
    let paths = paths();
    let asked: Vec<&str> = whole.lines().filter_map(|line| line.trim().strip_prefix("http-check send meth GET uri ")).collect();
    assert_eq!(asked, ["/health/ready", "/health/serving"]);
    for line in whole.lines().filter(|line| line.contains(" path /") || line.contains("path_beg /")) {
        for path in line.split_whitespace().filter(|word| word.starts_with('/') && *word != "/metrics") {
            let known = paths.iter().any(|known| known == path || (path.ends_with('/') && known.starts_with(path)));
            assert!(known, "{path} is no path: {line}");
        }
    }
    let timeout = |name: &str| {
        let line = whole.lines().find_map(|line| line.trim().strip_prefix(&format!("timeout {name} "))).unwrap();
        seconds(&Value::from(line.trim()))
    };
    // REQUEST_TIMEOUT_MS, when neither it nor what it follows from is set.
    assert!(timeout("server") > Duration::from_secs(375));
    let hard_stop = whole.lines().find_map(|line| line.trim().strip_prefix("hard-stop-after ")).unwrap();
    let granted = seconds(&yaml("docker-compose.ha.yml")[0]["services"]["lb"]["stop_grace_period"]);
    assert!(granted > seconds(&Value::from(hard_stop)));
    // Two answers are believed: they come within the time that a server goes on.
    let checks: Vec<&str> =
        whole.lines().filter(|line| line.contains("default-server check inter 1s ") && line.contains(" fall 2 ")).collect();
    assert_eq!(checks.len(), 2);
    for (limit, line) in [("server-template replica- 1-16 api:3000", 2), ("retry-on conn-failure empty-response", 2)] {
        assert_eq!(whole.lines().filter(|found| found.trim() == limit).count(), line, "{limit}");
    }
}

#[test]
fn render_workers_are_reached_by_servers_alone_know_nothing_else_and_have_time_to_end() {
    let tier = &yaml(RENDER_TIER)[0];
    let (api, render) = (&tier["services"]["api"], &tier["services"]["render"]);
    assert_eq!((strings(&render["networks"]), &tier["networks"]["render"]["internal"]), (vec!["render"], &Value::Bool(true)));
    assert!(strings(&api["networks"]).contains(&"render"));
    for part in ["lb", "postgres", "s3", "migrate", "backup"] {
        assert!(!strings(&yaml("docker-compose.ha.yml")[0]["services"][part]["networks"]).contains(&"render"), "{part} reaches workers");
    }
    assert_eq!(names(&render["environment"]), ["RENDER_WORKER_LISTEN", "RENDER_WORKER_SECRET", "SHUTDOWN_GRACE_MS"]);
    assert_eq!(api["environment"]["RENDER_WORKER_SECRET"], render["environment"]["RENDER_WORKER_SECRET"]);
    // A port there is one that servers ask at.
    let asked = api["environment"]["RENDER_WORKERS"].as_str().unwrap();
    assert_eq!(asked.replace("//render:", "//0.0.0.0:"), render["environment"]["RENDER_WORKER_LISTEN"].as_str().unwrap());
    let stop = milliseconds(&render["environment"]["SHUTDOWN_GRACE_MS"]) + TIDY_UP;
    assert!(seconds(&render["stop_grace_period"]) >= stop, "a stop takes up to {stop:?}");

    let workers = manifest("Deployment", "pulp-engine-render");
    let labels = &template(&workers)["metadata"]["labels"];
    let service = manifest("Service", "pulp-engine-render");
    let policy = manifest("NetworkPolicy", "pulp-engine-render");
    for selector in [
        &workers["spec"]["selector"]["matchLabels"],
        &service["spec"]["selector"],
        &policy["spec"]["podSelector"]["matchLabels"],
        &manifest("PodDisruptionBudget", "pulp-engine-render")["spec"]["selector"]["matchLabels"],
        &manifest("NetworkPolicy", "pulp-engine-to-render")["spec"]["egress"][0]["to"][0]["podSelector"]["matchLabels"],
    ] {
        let wanted = selector.as_mapping().unwrap();
        assert!(!wanted.is_empty() && wanted.iter().all(|(label, value)| labels[label] == *value), "{selector:?}");
    }
    assert_eq!(service["spec"]["clusterIP"], "None", "servers choose among all workers");
    // What servers are allowed otherwise is not for workers.
    let general = manifest("NetworkPolicy", "pulp-engine");
    let general = general["spec"]["podSelector"]["matchLabels"].as_mapping().unwrap();
    assert!(general.iter().any(|(label, value)| labels[label] != *value));
    assert!(items(&policy["spec"]["egress"]).is_empty() && strings(&policy["spec"]["policyTypes"]).contains(&"Egress"));
    let servers = manifest("Deployment", "pulp-engine");
    let allowed = policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"].as_mapping().unwrap();
    assert!(allowed.iter().all(|(label, value)| template(&servers)["metadata"]["labels"][label] == *value));

    let (told, data) = (&manifest("ConfigMap", "pulp-engine-render")["data"], &manifest("ConfigMap", "pulp-engine-render-worker")["data"]);
    assert_eq!(told["RENDER_WORKERS"], "tcp://pulp-engine-render:9100");
    assert_eq!(data["RENDER_WORKER_LISTEN"], "tcp://0.0.0.0:9100");
    let granted = Duration::from_secs(template(&workers)["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap());
    assert!(granted >= milliseconds(&data["SHUTDOWN_GRACE_MS"]) + TIDY_UP);
    assert_eq!(template(&workers)["spec"]["securityContext"]["seccompProfile"]["localhostProfile"], "pulp-engine.json");
    // One image for both.
    assert_eq!(containers(&workers)[0]["image"], containers(&servers)[0]["image"]);
    assert_eq!(render["image"], yaml("docker-compose.ha.yml")[0]["services"]["api"]["image"]);
}

/// Of a size such as `512M` or `2560Mi`, which both count in 1,024s here.
fn mebibytes(value: &Value) -> u64 {
    let written = value.as_str().unwrap().trim_end_matches('i');
    let (number, unit) = written.split_at(written.len() - 1);
    let times = match unit {
        "M" => 1,
        "G" => 1024,
        _ => panic!("{written} has neither M nor G"),
    };
    number.parse::<u64>().unwrap() * times
}

#[test]
fn all_connections_of_the_balancer_at_work_at_once_fit_its_memory_and_its_threads_fit_its_processes() {
    let whole = text("deploy/ha/haproxy.cfg");
    let figure = |name: &str| -> u64 {
        let line = whole.lines().find_map(|line| line.trim().strip_prefix(&format!("{name} "))).unwrap_or_else(|| panic!("no {name}"));
        line.trim().parse().unwrap()
    };
    let (connections, buffers) = (figure("maxconn"), figure("tune.buffers.limit"));
    // The request, the answer, and the request once more for a second attempt: nobody who has a place has to wait for a buffer.
    assert!(buffers >= connections * 3, "{buffers} buffers for {connections} connections");
    // Both sides of a connection as measured with a thousand of them, and the process itself.
    let kibibytes = buffers * figure("tune.bufsize") / 1024 + connections * 25 + 16 * 1024;
    let limits = &yaml("docker-compose.ha.yml")[0]["services"]["lb"]["deploy"]["resources"]["limits"];
    let granted = mebibytes(&limits["memory"]);
    assert!(kibibytes / 1024 < granted * 9 / 10, "{} of {granted} MiB", kibibytes / 1024);
    // A master, its worker, one that is just being replaced, and the shell of the health check.
    assert!(2 * figure("nbthread") + 4 < limits["pids"].as_u64().unwrap());
}

#[test]
fn the_image_is_not_root_and_sets_what_there_is() {
    let whole = text("Dockerfile");
    assert!(!whole.starts_with("# syntax"), "engines without a registry could not build it");
    let user: Vec<&str> = whole.lines().filter_map(|line| line.strip_prefix("USER ")).collect();
    assert_eq!(user, ["10001:10001"]);
    assert!(whole.contains("cargo build --release --locked") && whole.contains("HEALTHCHECK") && whole.contains("ENTRYPOINT [\"tini\""));
    let environment = whole.lines().skip_while(|line| !line.starts_with("ENV ")).take_while(|line| !line.starts_with("USER "));
    let variables: Vec<&str> =
        environment.filter_map(|line| line.trim_start_matches("ENV ").trim().split_once('=')).map(|(name, _)| name).collect();
    assert!(variables.len() >= 4, "{variables:?}");
    for name in variables.iter().filter(|name| !["HOME", "LANG"].contains(name)) {
        setting(name);
    }
    // What it copies gets past the list of what is left out.
    let let_in = text(".dockerignore");
    for path in ["LICENSE", "deploy/docker", "crates", "migrations", ".sqlx", ".cargo", "Cargo.lock", "examples"] {
        assert!(let_in.lines().any(|line| line == format!("!{path}")), "{path} is left out of the build");
    }
    // A key that nobody had to think of is made for whoever has none: the list of credentials there is the list of settings.
    let script = text("deploy/docker/entrypoint.sh");
    let list = script.lines().find_map(|line| line.trim().strip_prefix("for setting in ")).unwrap().trim_end_matches("; do");
    for name in list.split(' ') {
        assert!(setting(name).1, "{name}");
    }
}
