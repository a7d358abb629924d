//! `sedge infer`

use std::path::Path;

use sedge_agent::api::{InferParameters, Inference, Request, TEXT_DATATYPE};
use sedge_statement::Tensor;
use serde_json::{Value, json};

use super::ask;
use crate::failure::Failure;
use crate::grammar::InferArgs;
use crate::paint::{Paint, Tone};
use crate::screen::Screen;
use crate::tame;
use crate::tensors::{is_text, read_inputs, read_text};

/// How many elements of an output a person is shown; `--json` has them all.
const SHOWN: usize = 16;

/// Asks the model in a slot.
pub(crate) async fn run(home: &Path, args: InferArgs, screen: &Screen) -> Result<(), Failure> {
    let mut inputs = Vec::new();
    for path in &args.input {
        if is_text(path) {
            inputs.push(
                json!({"name": "text_input", "shape": [1], "datatype": TEXT_DATATYPE, "data": [read_text(path)?]}),
            );
        } else {
            inputs.extend(read_inputs(path, args.input_name.as_deref())?.iter().map(Tensor::to_json));
        }
    }
    if inputs.len() > 1 && args.input.iter().any(|path| is_text(path)) {
        return Err(Failure::usage("a language model goes on from one text", "Give one --input."));
    }
    let parameters = InferParameters { max_tokens: args.max_tokens };
    let inference: Inference = ask(home, &Request::Infer { slot: args.slot, inputs, parameters }).await?;
    screen.show_as_it_is(&inference, |inference, paint| text(inference, paint, screen))
}

fn text(inference: &Inference, paint: Paint, screen: &Screen) -> String {
    let mut lines: Vec<String> = inference.outputs.iter().map(|output| output_text(output, paint, screen)).collect();
    let by = format!("Answered by release {}, digest {}", inference.release.short(), inference.sha256);
    lines.push(paint.tone(Tone::Faint, &by));
    lines.join("\n")
}

fn output_text(output: &Value, paint: Paint, screen: &Screen) -> String {
    let text = |key: &str| output.get(key).and_then(Value::as_str).unwrap_or("?");
    let data = output.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if let (TEXT_DATATYPE, [Value::String(continuation)]) = (text("datatype"), data) {
        return screen.words(continuation).into_owned();
    }
    let shown: Vec<String> = data.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if data.len() > SHOWN { format!(" … {} more", data.len() - SHOWN) } else { String::new() };
    let shape = output.get("shape").map(ToString::to_string).unwrap_or_default();
    let name = paint.tone(Tone::Strong, &tame::line(text("name")));
    let told = format!("{} {shape}  {}{more}", text("datatype"), shown.join(" "));
    format!("{name}  {}", tame::line(&told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_outputs_are_cut_and_say_so() {
        let tensor = Tensor::from_f32("y", vec![20], &[0.5; 20]).unwrap();
        let text = output_text(&tensor.to_json(), Paint::plain(), &Screen::new(false));
        assert!(text.starts_with("y  FP32 [20]  0.5 0.5"), "{text}");
        assert!(text.ends_with("0.5 … 4 more"), "{text}");
    }
}
