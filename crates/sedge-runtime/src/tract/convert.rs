//! Tensors, ours and tract's.

use sedge_statement::{Datatype, Tensor};
use tract_onnx::prelude::{Datum, DatumType, TValue, Tensor as Native, TractResult, f16};

/// The type that tract has for one of ours.
pub(super) const fn native_type(datatype: Datatype) -> DatumType {
    match datatype {
        Datatype::Bool => DatumType::Bool,
        Datatype::Uint8 => DatumType::U8,
        Datatype::Uint16 => DatumType::U16,
        Datatype::Uint32 => DatumType::U32,
        Datatype::Uint64 => DatumType::U64,
        Datatype::Int8 => DatumType::I8,
        Datatype::Int16 => DatumType::I16,
        Datatype::Int32 => DatumType::I32,
        Datatype::Int64 => DatumType::I64,
        Datatype::Fp16 => DatumType::F16,
        Datatype::Fp32 => DatumType::F32,
        Datatype::Fp64 => DatumType::F64,
    }
}

/// The shape as the machine counts.
pub(super) fn native_shape(tensor: &Tensor) -> Vec<usize> {
    tensor.shape.iter().map(|n| usize::try_from(*n).expect("a request's shape was checked against its bytes")).collect()
}

/// Hands a tensor to tract.
pub(super) fn to_native(tensor: &Tensor) -> TractResult<TValue> {
    let shape = native_shape(tensor);
    let data = &tensor.data;
    let native = match tensor.datatype {
        // Any other byte than 0 and 1 is no `bool` of Rust's.
        Datatype::Bool => Native::from_shape(&shape, &elements(data, |[b]: [u8; 1]| b != 0)),
        Datatype::Uint8 => Native::from_shape(&shape, data),
        Datatype::Uint16 => Native::from_shape(&shape, &elements(data, u16::from_le_bytes)),
        Datatype::Uint32 => Native::from_shape(&shape, &elements(data, u32::from_le_bytes)),
        Datatype::Uint64 => Native::from_shape(&shape, &elements(data, u64::from_le_bytes)),
        Datatype::Int8 => Native::from_shape(&shape, &elements(data, i8::from_le_bytes)),
        Datatype::Int16 => Native::from_shape(&shape, &elements(data, i16::from_le_bytes)),
        Datatype::Int32 => Native::from_shape(&shape, &elements(data, i32::from_le_bytes)),
        Datatype::Int64 => Native::from_shape(&shape, &elements(data, i64::from_le_bytes)),
        Datatype::Fp16 => Native::from_shape(&shape, &elements(data, f16::from_le_bytes)),
        Datatype::Fp32 => Native::from_shape(&shape, &elements(data, f32::from_le_bytes)),
        Datatype::Fp64 => Native::from_shape(&shape, &elements(data, f64::from_le_bytes)),
    }?;
    Ok(native.into())
}

fn elements<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.chunks_exact(N).map(|bytes| read(bytes.try_into().expect("chunks have the element's size"))).collect()
}

/// Takes a tensor from tract: its shape and its bytes. Tract computes with types of its own (dimensions, quantized
/// numbers); what comes out has the type that the model declares.
pub(super) fn from_native(native: &Native, datatype: Datatype) -> TractResult<(Vec<u64>, Vec<u8>)> {
    let shape = native.shape().iter().map(|n| *n as u64).collect();
    let native = native.cast_to_dt(native_type(datatype))?;
    let data = match datatype {
        Datatype::Bool => bytes(&native, |b: bool| [u8::from(b)]),
        Datatype::Uint8 => bytes(&native, u8::to_le_bytes),
        Datatype::Uint16 => bytes(&native, u16::to_le_bytes),
        Datatype::Uint32 => bytes(&native, u32::to_le_bytes),
        Datatype::Uint64 => bytes(&native, u64::to_le_bytes),
        Datatype::Int8 => bytes(&native, i8::to_le_bytes),
        Datatype::Int16 => bytes(&native, i16::to_le_bytes),
        Datatype::Int32 => bytes(&native, i32::to_le_bytes),
        Datatype::Int64 => bytes(&native, i64::to_le_bytes),
        Datatype::Fp16 => bytes(&native, f16::to_le_bytes),
        Datatype::Fp32 => bytes(&native, f32::to_le_bytes),
        Datatype::Fp64 => bytes(&native, f64::to_le_bytes),
    }?;
    Ok((shape, data))
}

fn bytes<const N: usize, T: Datum + Copy>(native: &Native, write: impl Fn(T) -> [u8; N]) -> TractResult<Vec<u8>> {
    let view = native.try_as_plain_ram()?;
    Ok(view.as_slice::<T>()?.iter().flat_map(|element| write(*element)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datatype_comes_back_as_it_went() {
        use Datatype::*;
        for datatype in [Bool, Uint8, Uint16, Uint32, Uint64, Int8, Int16, Int32, Int64, Fp16, Fp32, Fp64] {
            let size = usize::try_from(datatype.size()).unwrap();
            // Ones in the lowest byte: a `true`, a small integer, a denormal.
            let mut data = vec![0; 6 * size];
            data[size] = 1;
            data[5 * size] = 1;
            let tensor = Tensor::from_bytes("x", datatype, vec![2, 3], data.clone()).unwrap();
            let native = to_native(&tensor).unwrap();
            assert_eq!(native.datum_type(), native_type(datatype));
            assert_eq!(from_native(&native, datatype).unwrap(), (vec![2, 3], data), "{datatype}");
        }
    }

    #[test]
    fn a_boolean_of_another_byte_is_true() {
        let tensor = Tensor::from_bytes("x", Datatype::Bool, vec![2], vec![0, 7]).unwrap();
        let native = to_native(&tensor).unwrap();
        assert_eq!(from_native(&native, Datatype::Bool).unwrap().1, [0, 1]);
    }
}
