//! Inputs for a model that comes without probes.

use sedge_statement::{Datatype, Tensor, TensorError, TensorSpec};

use crate::dims::least;

/// Inputs of the declared shapes, named dimensions at their least: the same on every node and at every time.
///
/// Small numbers that are not all alike: zeros alone would pass through a model whose weights are broken, and indices
/// into a vocabulary must stay small.
///
/// # Errors
/// [`TensorError::TooLarge`] where a declared shape is; [`TensorError::Datatype`] where the type is none.
pub(crate) fn inputs(specs: &[TensorSpec]) -> Result<Vec<Tensor>, TensorError> {
    specs.iter().map(input).collect()
}

fn input(spec: &TensorSpec) -> Result<Tensor, TensorError> {
    let datatype: Datatype =
        spec.datatype.parse().map_err(|source| TensorError::Datatype { name: spec.name.clone(), source })?;
    let shape: Vec<u64> = spec.shape.iter().map(least).collect();
    let elements =
        Tensor::elements(&shape, datatype).ok_or_else(|| TensorError::TooLarge { name: spec.name.clone() })?;
    let bytes = usize::try_from(elements * datatype.size()).expect("a tensor's size was checked");
    let pair = [element(datatype, false), element(datatype, true)].concat();
    let mut data = pair.repeat(bytes.div_ceil(pair.len()));
    data.truncate(bytes);
    Tensor::from_bytes(&spec.name, datatype, shape, data)
}

/// Zero or one; a half for floats, which keeps exponentials tame.
fn element(datatype: Datatype, one: bool) -> Vec<u8> {
    let small = u8::from(one);
    match datatype {
        Datatype::Fp16 => u16::to_le_bytes(if one { 0x3800 } else { 0 }).to_vec(),
        Datatype::Fp32 => (f32::from(small) / 2.0).to_le_bytes().to_vec(),
        Datatype::Fp64 => (f64::from(small) / 2.0).to_le_bytes().to_vec(),
        whole => {
            let mut bytes = vec![0; usize::try_from(whole.size()).expect("an element is at most 8 bytes")];
            bytes[0] = small;
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use sedge_statement::Dim;

    use super::*;

    #[test]
    fn synthesized_inputs_have_the_declared_shape_and_small_values() {
        let spec = |datatype: &str| TensorSpec {
            name: "x".to_owned(),
            datatype: datatype.to_owned(),
            shape: vec![Dim::Named("N".to_owned()), Dim::Fixed(3)],
        };
        for datatype in ["FP16", "FP32", "FP64"] {
            let tensors = inputs(&[spec(datatype)]).unwrap();
            assert_eq!(tensors[0].shape, [1, 3]);
            assert_eq!(tensors[0].to_f64().collect::<Vec<_>>(), [0.0, 0.5, 0.0], "{datatype}");
        }
        for datatype in ["BOOL", "UINT8", "INT16", "INT64", "UINT64"] {
            let tensors = inputs(&[spec(datatype)]).unwrap();
            assert_eq!(tensors[0].to_f64().collect::<Vec<_>>(), [0.0, 1.0, 0.0], "{datatype}");
        }
    }

    #[test]
    fn a_shape_that_no_memory_holds_is_an_error() {
        let vast = TensorSpec { name: "x".into(), datatype: "FP32".into(), shape: vec![Dim::Fixed(u64::MAX); 3] };
        assert!(matches!(inputs(&[vast]), Err(TensorError::TooLarge { .. })));
    }
}
