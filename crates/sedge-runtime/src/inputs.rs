//! The inputs of a request, checked against what the model declares before the model sees them.

use std::fmt;

use sedge_statement::{Datatype, Dim, Tensor, TensorSpec};

use crate::dims::{Lengths, is_compound};

/// Why inputs are not what the model takes. Each message says what to give instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Give it too.
    #[error("input {name:?} is missing; give {datatype} {shape}")]
    Missing {
        /// The input.
        name: String,
        /// Its type.
        datatype: String,
        /// Its shape.
        shape: Shape,
    },
    /// Leave it out, or name it as the model does.
    #[error("the model has no input {name:?}; it takes {known}")]
    Unknown {
        /// What was given.
        name: String,
        /// What there is, quoted.
        known: String,
    },
    /// Give it once.
    #[error("input {0:?} is given twice")]
    Twice(String),
    /// Give the other type; nothing is converted, lest a model be asked something else than was meant.
    #[error("input {name:?} is {found}; give {wanted}")]
    Datatype {
        /// The input.
        name: String,
        /// Given.
        found: Datatype,
        /// Declared.
        wanted: Datatype,
    },
    /// Give another shape.
    #[error("input {name:?} has the shape {found:?}; give {wanted}")]
    Shape {
        /// The input.
        name: String,
        /// Given.
        found: Vec<u64>,
        /// Declared.
        wanted: Shape,
    },
    /// Dimensions of one name have one length.
    #[error("input {name:?} has the shape {found:?}; dimension {at} must be {wanted}, as {dim} is elsewhere")]
    Unequal {
        /// The input.
        name: String,
        /// Given.
        found: Vec<u64>,
        /// Which dimension, from zero.
        at: usize,
        /// The length that the other inputs ask for.
        wanted: u64,
        /// The dimension's name.
        dim: String,
    },
    /// Give as many bytes as the shape asks for.
    #[error("input {name:?} has {found} bytes, not what {datatype} {shape:?} takes")]
    Length {
        /// The input.
        name: String,
        /// Bytes given.
        found: usize,
        /// Its type.
        datatype: Datatype,
        /// Its shape.
        shape: Vec<u64>,
    },
}

/// A declared shape, as messages show it: `[N, 64]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<Dim>);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (at, dim) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{dim}")?;
        }
        f.write_str("]")
    }
}

/// Brings the inputs into the model's order, each as declared.
pub(crate) fn arrange<'a>(specs: &[TensorSpec], given: &'a [Tensor]) -> Result<Vec<&'a Tensor>, InputError> {
    for (at, tensor) in given.iter().enumerate() {
        if !specs.iter().any(|spec| spec.name == tensor.name) {
            let known = specs.iter().map(|spec| format!("{:?}", spec.name)).collect::<Vec<_>>().join(", ");
            return Err(InputError::Unknown { name: tensor.name.clone(), known });
        }
        if given[..at].iter().any(|earlier| earlier.name == tensor.name) {
            return Err(InputError::Twice(tensor.name.clone()));
        }
    }
    let mut arranged = Vec::with_capacity(specs.len());
    for spec in specs {
        let tensor = given.iter().find(|tensor| tensor.name == spec.name).ok_or_else(|| InputError::Missing {
            name: spec.name.clone(),
            datatype: spec.datatype.clone(),
            shape: Shape(spec.shape.clone()),
        })?;
        check_alone(spec, tensor)?;
        arranged.push(tensor);
    }
    check_together(specs, &arranged)?;
    Ok(arranged)
}

fn check_alone(spec: &TensorSpec, tensor: &Tensor) -> Result<(), InputError> {
    let name = || tensor.name.clone();
    // A type that is no word of the protocol was refused before the model was loaded.
    if let Ok(wanted) = spec.datatype.parse::<Datatype>()
        && wanted != tensor.datatype
    {
        return Err(InputError::Datatype { name: name(), found: tensor.datatype, wanted });
    }
    let fits = |(dim, found): (&Dim, &u64)| !matches!(dim, Dim::Fixed(wanted) if wanted != found);
    if spec.shape.len() != tensor.shape.len() || !spec.shape.iter().zip(&tensor.shape).all(fits) {
        return Err(InputError::Shape { name: name(), found: tensor.shape.clone(), wanted: Shape(spec.shape.clone()) });
    }
    // Counted with every zero as a one too: an empty tensor of vast strides overflows inside a backend.
    let strides: Vec<u64> = tensor.shape.iter().map(|length| (*length).max(1)).collect();
    let bytes = Tensor::elements(&strides, tensor.datatype)
        .and_then(|_| Tensor::elements(&tensor.shape, tensor.datatype))
        .map(|n| n * tensor.datatype.size());
    if bytes != Some(tensor.data.len() as u64) {
        let (datatype, shape) = (tensor.datatype, tensor.shape.clone());
        return Err(InputError::Length { name: name(), found: tensor.data.len(), datatype, shape });
    }
    Ok(())
}

/// Checks named dimensions over all inputs: plain names first, for expressions follow from them.
fn check_together(specs: &[TensorSpec], arranged: &[&Tensor]) -> Result<(), InputError> {
    let mut lengths = Lengths::default();
    for compound in [false, true] {
        for (spec, tensor) in specs.iter().zip(arranged) {
            for (at, (dim, found)) in spec.shape.iter().zip(&tensor.shape).enumerate() {
                let Dim::Named(name) = dim else { continue };
                if is_compound(name) != compound {
                    continue;
                }
                lengths.bind(dim, *found).map_err(|wanted| InputError::Unequal {
                    name: tensor.name.clone(),
                    found: tensor.shape.clone(),
                    at,
                    wanted,
                    dim: name.clone(),
                })?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<TensorSpec> {
        let named = |name: &str| Dim::Named(name.to_owned());
        let spec =
            |name: &str, datatype: &str, shape| TensorSpec { name: name.into(), datatype: datatype.into(), shape };
        vec![
            spec("image", "FP32", vec![named("N"), Dim::Fixed(2)]),
            spec("mask", "BOOL", vec![named("N"), named("2*N"), Dim::Unknown]),
        ]
    }

    fn image(n: u64) -> Tensor {
        Tensor::from_f32("image", vec![n, 2], &vec![0.5; usize::try_from(n * 2).unwrap()]).unwrap()
    }

    fn mask(shape: [u64; 3]) -> Tensor {
        let length = usize::try_from(shape.iter().product::<u64>()).unwrap();
        Tensor::from_bytes("mask", Datatype::Bool, shape.to_vec(), vec![1; length]).unwrap()
    }

    #[test]
    fn inputs_come_in_the_models_order_whatever_order_they_are_given_in() {
        let given = [mask([3, 6, 5]), image(3)];
        let arranged = arrange(&specs(), &given).unwrap();
        assert_eq!(arranged.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["image", "mask"]);
    }

    #[test]
    fn every_wrong_input_is_refused_with_what_to_give() {
        let refuse = |given: &[Tensor]| arrange(&specs(), given).unwrap_err().to_string();
        assert_eq!(refuse(&[image(1)]), "input \"mask\" is missing; give BOOL [N, 2*N, ?]");
        let mut other = image(1);
        other.name = "picture".to_owned();
        assert_eq!(refuse(&[other]), "the model has no input \"picture\"; it takes \"image\", \"mask\"");
        assert_eq!(refuse(&[image(1), image(1)]), "input \"image\" is given twice");
        let bytes = Tensor::from_bytes("image", Datatype::Uint8, vec![1, 2], vec![0; 2]).unwrap();
        assert_eq!(refuse(&[bytes]), "input \"image\" is UINT8; give FP32");
        let wide = Tensor::from_f32("image", vec![1, 3], &[0.0; 3]).unwrap();
        assert_eq!(refuse(&[wide]), "input \"image\" has the shape [1, 3]; give [N, 2]");
        let flat = Tensor::from_f32("image", vec![2], &[0.0; 2]).unwrap();
        assert_eq!(refuse(&[flat]), "input \"image\" has the shape [2]; give [N, 2]");
        assert_eq!(
            refuse(&[image(3), mask([2, 6, 1])]),
            "input \"mask\" has the shape [2, 6, 1]; dimension 0 must be 3, as N is elsewhere"
        );
        assert_eq!(
            refuse(&[image(3), mask([3, 5, 1])]),
            "input \"mask\" has the shape [3, 5, 1]; dimension 1 must be 6, as 2*N is elsewhere"
        );
        let mut short = image(1);
        short.data.pop();
        assert_eq!(refuse(&[short]), "input \"image\" has 7 bytes, not what FP32 [1, 2] takes");
        let mut vast = image(1);
        vast.shape = vec![u64::MAX, 2];
        assert_eq!(refuse(&[vast]), format!("input \"image\" has 8 bytes, not what FP32 [{}, 2] takes", u64::MAX));
        let mut hollow = mask([1, 2, 1]);
        (hollow.shape, hollow.data) = (vec![0, u64::MAX, u64::MAX], Vec::new());
        assert!(refuse(&[image(1), hollow]).starts_with("input \"mask\" has 0 bytes, not what BOOL"));
    }
}
