//! What makes one certificate hold, by itself and under its issuer's.

use sedge_statement::{Certificate, MeshId, ObjectError, Role};

/// Why a certificate is not in effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateRefusal {
    /// The object is no certificate, or a damaged one. Drop it.
    #[error("{0}")]
    Object(#[from] ObjectError),
    /// It was made for another mesh. Drop it.
    #[error("made for mesh {}", .0.short())]
    OtherMesh(MeshId),
    /// Somebody signed in another's name. Drop it.
    #[error("not signed by the issuer that it names")]
    NotSignedByIssuer,
    /// Serials count from one; the issuer's program is broken.
    #[error("serial number zero")]
    ZeroSerial,
    /// It ends before it begins; issue it again with other dates.
    #[error("its dates leave no time between them")]
    NoTime,
    /// Only the agreed roots hold the role, given by one of them. It takes effect once the version that names both arrives.
    #[error("gives the root role, which only a root can give and hold")]
    RootRole,
    /// Its issuer was revoked before it issued this. Have another enroller issue it.
    #[error("its issuer is revoked")]
    RevokedIssuer,
    /// The issuer's own certificate is not held yet. It takes effect once that arrives.
    #[error("its issuer holds no valid certificate")]
    UnknownIssuer,
    /// The issuer is a member without the right to enrol. Have an enroller issue it.
    #[error("its issuer may not enrol")]
    MayNotEnroll,
    /// Have an enroller of that cell, or of one above it, issue it.
    #[error("its cell lies outside its issuer's")]
    WiderCell,
    /// Have somebody who holds the role issue it.
    #[error("it gives role {0}, which its issuer does not hold")]
    WiderRole(Role),
    /// Shorten its dates, or renew the issuer's certificate first.
    #[error("its dates reach beyond its issuer's")]
    WiderDates,
    /// Have somebody nearer to a root issue it.
    #[error("its path to a root is too long")]
    TooDeep,
    /// Too many certificates are held, or too many of this issuer for this node: have another enroller, or a root, issue it.
    #[error("no room for another certificate")]
    NoRoom,
}

/// Checks what no other certificate can mend.
pub(super) fn check_alone(certificate: &Certificate) -> Result<(), CertificateRefusal> {
    if certificate.serial == 0 {
        return Err(CertificateRefusal::ZeroSerial);
    }
    let no_time = certificate.not_after.is_some_and(|end| end <= certificate.not_before);
    if no_time { Err(CertificateRefusal::NoTime) } else { Ok(()) }
}

/// Whether `above`, valid and held by the issuer, lets it issue `certificate`: a chain only narrows.
pub(super) fn covers(above: &Certificate, certificate: &Certificate) -> Result<(), CertificateRefusal> {
    if !above.may(Role::Enroll) {
        return Err(CertificateRefusal::MayNotEnroll);
    }
    if !above.cell.covers(&certificate.cell) {
        return Err(CertificateRefusal::WiderCell);
    }
    let given = |role: &Role| above.may(*role) || matches!(role, Role::Device | Role::Observe);
    if let Some(role) = certificate.roles.iter().find(|role| !given(role)) {
        return Err(CertificateRefusal::WiderRole(*role));
    }
    let begins = above.not_before <= certificate.not_before;
    let ends = above.not_after.is_none_or(|last| certificate.not_after.is_some_and(|end| end <= last));
    if begins && ends { Ok(()) } else { Err(CertificateRefusal::WiderDates) }
}
