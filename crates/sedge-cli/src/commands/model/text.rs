//! Models as a person sees them.

use sedge_agent::Inspection;
use sedge_agent::api::{LogEntry, Model, ModelDetail, Verification};
use sedge_statement::{ByteSize, GgufFacts, Loader, ModelFacts, OnnxFacts, TensorSpec};

use crate::paint::{Paint, Tone};
use crate::table::{Table, cell, state, toned};
use crate::words::{now, show_age, show_duration};

pub(super) fn added(model: &Model, paint: Paint) -> String {
    let name = format!("{}:{}", model.id, model.version);
    format!(
        "Published {} as release {}.\nDeploy it with `sedge deploy {name}`.",
        paint.tone(Tone::Strong, &name),
        model.release.short()
    )
}

pub(super) fn list(models: &[Model], paint: Paint) -> String {
    if models.is_empty() {
        return "No release yet; publish one with `sedge model add FILE`.".to_owned();
    }
    let mut table =
        Table::new(["MODEL", "VERSION", "RELEASE", "VARIANT", "FORMAT", "SIZE", "DIGEST", "BY", "WHEN", "HELD"]);
    for model in models {
        for variant in &model.variants {
            let held = if model.held { toned(Tone::Good, "here") } else { toned(Tone::Faint, "elsewhere") };
            table.row([
                cell(&model.id),
                cell(&model.version),
                cell(model.release.short()),
                cell(&variant.name),
                cell(format!("{} {}", variant.format, variant.quantization)),
                cell(ByteSize(variant.size_bytes)),
                cell(variant.sha256.short()),
                cell(&model.publisher),
                cell(show_age(model.published_at, now())),
                held,
            ]);
        }
    }
    table.render(paint)
}

pub(super) fn detail(detail: &ModelDetail, paint: Paint) -> String {
    let (model, manifest) = (&detail.model, &detail.manifest);
    let or_unknown = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let mut lines = vec![
        format!("{}  release {}", paint.tone(Tone::Strong, &format!("{}:{}", model.id, model.version)), model.release),
        format!(
            "a {}, licence {}, from {}",
            manifest.model_type,
            or_unknown(&manifest.license),
            or_unknown(&manifest.source)
        ),
        format!("published by {} {}", model.publisher, show_age(model.published_at, now())),
    ];
    for variant in &manifest.variants {
        lines.push(format!("\nvariant {} ({} {})", variant.name, variant.format, variant.quantization));
        lines.extend(facts(&variant.facts));
        let mut files = Table::new(["FILE", "SIZE", "SHA-256"]);
        for file in &variant.files {
            files.row([cell(&file.name), cell(file.size), cell(file.sha256)]);
        }
        if let Some(probes) = &manifest.probes {
            files.row([cell(&probes.name), cell(probes.size), cell(probes.sha256)]);
        }
        lines.push(files.render(paint));
    }
    lines.extend(manifest.metadata.iter().map(|(key, value)| format!("{key}: {value}")));
    let holders: Vec<&str> = detail.holders.iter().map(|name| name.as_str()).collect();
    lines.push(format!(
        "\nheld by {}",
        if holders.is_empty() { "nobody that says so".to_owned() } else { holders.join(", ") }
    ));
    lines.join("\n")
}

pub(super) fn inspection(inspection: &Inspection, paint: Paint) -> String {
    let name = match (&inspection.id, &inspection.version) {
        (Some(id), Some(version)) => format!("{id}:{version}"),
        (Some(id), None) => id.to_string(),
        _ => "a model".to_owned(),
    };
    let size = ByteSize(inspection.size_bytes);
    let mut lines =
        vec![format!("{}  {} {}  {size}", paint.tone(Tone::Strong, &name), inspection.format, inspection.quantization)];
    lines.extend(facts(&inspection.facts));
    lines.extend(inspection.notes.iter().cloned());
    lines.push(format!("SHA-256  {}", inspection.sha256));
    lines.push(format!("BLAKE3   {}", inspection.blake3));
    lines.extend(inspection.metadata.iter().map(|(key, value)| format!("{key}: {value}")));
    lines.join("\n")
}

fn facts(facts: &ModelFacts) -> Vec<String> {
    match facts {
        ModelFacts::Onnx(facts) => onnx(facts),
        ModelFacts::Gguf(facts) => gguf(facts),
    }
}

fn gguf(gguf: &GgufFacts) -> Vec<String> {
    let named = if gguf.name.is_empty() { String::new() } else { format!(", {:?}", gguf.name) };
    let tokenizer = if gguf.tokenizer.is_empty() { "no tokenizer".to_owned() } else { gguf.tokenizer.clone() };
    let types = gguf.types.iter().map(|(kind, bytes)| format!("{kind} {bytes}")).collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        format!(
            "GGUF {}, {}{named}, {} parameters, {} of weights",
            gguf.version, gguf.architecture, gguf.parameters, gguf.weight_bytes
        ),
        format!("types  {types}"),
        format!(
            "{} layers, embedding of {}, {} heads, {} of keys and values, context of {}, {} tokens ({tokenizer})",
            gguf.layers, gguf.embedding, gguf.heads, gguf.kv_heads, gguf.context, gguf.vocabulary
        ),
    ];
    let mut table = Table::new(["CONTEXT", "MEMORY", "WEIGHTS", "KEYS AND VALUES", "COMPUTING", "EMBEDDINGS"]);
    for context in gguf.contexts() {
        let need = gguf.memory(context, Loader::Candle);
        table.row([
            cell(need.context),
            cell(need.total),
            cell(need.weights),
            cell(need.kv),
            cell(need.compute),
            cell(need.overhead),
        ]);
    }
    lines.push(table.render(Paint::plain()));
    lines
}

fn onnx(onnx: &OnnxFacts) -> Vec<String> {
    let opsets = onnx.opsets.iter().map(|(domain, version)| match domain.as_str() {
        "" => format!("opset {version}"),
        other => format!("{other} {version}"),
    });
    let opsets = opsets.collect::<Vec<_>>().join(", ");
    let mut lines = vec![format!(
        "IR {}, {opsets}, {} parameters, {} of weights",
        onnx.ir_version, onnx.parameters, onnx.weight_bytes
    )];
    let spec = |side: &str, spec: &TensorSpec| {
        let shape: Vec<String> = spec.shape.iter().map(ToString::to_string).collect();
        format!("{side}  {}  {} [{}]", spec.name, spec.datatype, shape.join(", "))
    };
    lines.extend(onnx.inputs.iter().map(|input| spec("in ", input)));
    lines.extend(onnx.outputs.iter().map(|output| spec("out", output)));
    lines
}

pub(super) fn verification(verification: &Verification, paint: Paint) -> String {
    let mut table = Table::new(["FILE", "SIZE", "SHA-256", "IS"]);
    for file in &verification.files {
        table.row([cell(&file.name), cell(ByteSize(file.size_bytes)), cell(file.sha256), toned(Tone::Good, "proven")]);
    }
    let tried = match verification.probes {
        0 => "gave finite outputs; the release has no probes".to_owned(),
        1 => "passed its probe".to_owned(),
        n => format!("passed {n} probes"),
    };
    format!("{}\nThe model {tried}; the slowest took {}.", table.render(paint), show_duration(verification.latency))
}

pub(super) fn log(log: &[LogEntry], paint: Paint) -> String {
    let mut table = Table::new(["VERSION", "RELEASE", "GENERATION", "BY", "WHEN", "ROLLOUT", "SLOT", "STATE"]);
    for entry in log {
        let model = &entry.model;
        let front = || {
            [
                cell(&model.version),
                cell(model.release.short()),
                cell(&entry.generation),
                cell(&model.publisher),
                cell(show_age(model.published_at, now())),
            ]
        };
        if entry.rollouts.is_empty() {
            let [version, release, generation, by, when] = front();
            table.row([version, release, generation, by, when, cell(""), cell(""), cell("")]);
        }
        for rollout in &entry.rollouts {
            let [version, release, generation, by, when] = front();
            let id = cell(rollout.rollout.short());
            table.row([version, release, generation, by, when, id, cell(&rollout.slot), state(&rollout.state)]);
        }
    }
    table.render(paint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::screen::hostile::{WORDS, is_shown_harmless};

    #[test]
    fn licence_source_and_metadata_are_shown_on_their_line_and_obeyed_by_no_terminal() {
        let digest = "ab".repeat(32);
        let answer = json!({
            "id": "digits", "version": "1.0.0", "release": digest, "variants": [], "publisher": "laptop",
            "published_at": "2026-01-01T00:00:00Z", "held": true, "holders": [],
            "manifest": {
                "id": "digits", "version": "1.0.0", "model_type": "classifier", "license": WORDS, "source": WORDS,
                "metadata": {WORDS: WORDS}, "probes": null,
                "variants": [{
                    "name": "onnx-f32", "format": "onnx", "quantization": "F32",
                    "files": [{"name": "a.onnx", "size": 1, "sha256": digest, "blake3": digest}],
                    "requirements": {"memory": 0, "architectures": []},
                    "facts": {"onnx": {
                        "ir_version": 8, "opsets": {WORDS: 1}, "producer": "", "parameters": 1, "weight_bytes": 1,
                        "inputs": [{"name": WORDS, "datatype": WORDS, "shape": []}], "outputs": [],
                    }},
                }],
            },
        });
        is_shown_harmless(&answer, 7, detail);
    }
}
