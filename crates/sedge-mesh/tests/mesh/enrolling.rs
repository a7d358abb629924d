//! Joining with a ticket, and every way of being refused.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sedge_mesh::{
    Applicant, Enroller, Enrolment, JOIN_ALPN, JoinError, JoinRefusal, JoinRequest, Joined, Looking, Protocols, join,
    join_by,
};
use sedge_statement::{
    Certificate, Entry, MeshId, NodeId, Object, ObjectKind, SecretKey, Ticket, TicketSecret, Timestamp, codec,
};

use crate::support::{Memory, Node, Root, closed, framed, key, loopback, now, raw_endpoint, raw_stream};

/// One ticket, used once.
struct OneTicket {
    root: Arc<Root>,
    secret: [u8; 32],
    expires: Timestamp,
    used: Mutex<Option<(NodeId, Object)>>,
}

impl Enroller for OneTicket {
    fn redeem(&self, peer: NodeId, request: &JoinRequest) -> Result<Enrolment, JoinRefusal> {
        if request.mesh != self.root.mesh {
            return Err(JoinRefusal::NotForThisMesh);
        }
        if request.secret.digest() != self.secret {
            return Err(JoinRefusal::UnknownTicket);
        }
        if self.expires <= now() {
            return Err(JoinRefusal::Expired);
        }
        if request.name.as_str() == "root" {
            return Err(JoinRefusal::NameTaken);
        }
        let mut used = self.used.lock().unwrap();
        match &*used {
            Some((who, certificate)) if *who == peer => Ok(Enrolment { certificate: certificate.clone() }),
            Some(_) => Err(JoinRefusal::AlreadyUsed),
            None => {
                let certificate = self.root.certify(peer, request.name.as_str());
                *used = Some((peer, certificate.clone()));
                Ok(Enrolment { certificate })
            }
        }
    }
}

fn enrol_at(node: &Node, root: &Arc<Root>, lasts: Duration) -> Ticket {
    let secret = TicketSecret::from_bytes([5; 16]);
    let expires = now().plus(lasts);
    let enroller = OneTicket { root: root.clone(), secret: secret.digest(), expires, used: Mutex::new(None) };
    node.mesh.enrol_with(Arc::new(enroller));
    Ticket {
        mesh: root.mesh,
        mesh_name: "test".parse().unwrap(),
        issuer: node.id(),
        addresses: node.mesh.listen_addresses(),
        secret,
        expires: now().plus(Duration::from_secs(3600)),
        relays: Vec::new(),
    }
}

fn named(name: &str) -> Applicant {
    Applicant {
        name: name.parse().unwrap(),
        architecture: "x86_64".parse().unwrap(),
        class: "x86-server".parse().unwrap(),
    }
}

async fn start_joined(root: &Root, key: SecretKey, joined: &Joined) -> Node {
    let storage = Arc::new(Memory::default());
    let certificates: Vec<Object> = joined.certificates.iter().rev().cloned().collect();
    let fleet = root.fleet(&storage, key.node_id(), &certificates);
    root.resume(key, fleet, storage, loopback(), &joined.peer_addrs(), Protocols::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joined_replicates_with_the_one_that_enrolled_it() {
    let root = Arc::new(Root::new(1));
    let first = root.start(1, &[]).await;
    let ticket = enrol_at(&first, &root, Duration::from_secs(60));
    let joined = join(&key(2), &ticket, named("second")).await.unwrap();
    let own: Certificate = joined.certificates[0].body().unwrap();
    assert_eq!((own.subject, own.name.as_str()), (key(2).node_id(), "second"));
    assert_eq!(joined.genesis, root.genesis);
    assert_eq!(joined.peers[0].0, first.id());
    let second = start_joined(&root, key(2), &joined).await;
    first.say(3).await;
    second.say(5).await;
    second.hears(first.id(), 3).await;
    first.hears(second.id(), 5).await;
    first.sees("the newcomer", |v| v.members.contains_key(&second.id())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_of_a_joining_ticket_serves_only_the_key_that_used_it_first() {
    let root = Arc::new(Root::new(1));
    let first = root.start(1, &[]).await;
    let ticket = enrol_at(&first, &root, Duration::from_secs(60));
    let once = join(&key(2), &ticket, named("second")).await.unwrap();
    let again = join(&key(2), &ticket, named("second")).await.unwrap();
    assert_eq!(once.certificates, again.certificates);
    let other = join(&key(3), &ticket, named("third")).await;
    assert!(matches!(other, Err(JoinError::Refused(JoinRefusal::AlreadyUsed))), "{other:?}");
    assert!(!first.mesh.view().borrow().members.contains_key(&key(3).node_id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_reaches_the_newcomer_by_name() {
    let root = Arc::new(Root::new(1));
    let first = root.start(1, &[]).await;
    let ticket = enrol_at(&first, &root, Duration::from_secs(60));
    let refused = |result: Result<Joined, JoinError>| match result {
        Err(JoinError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let unknown = Ticket { secret: TicketSecret::from_bytes([6; 16]), ..ticket.clone() };
    assert_eq!(refused(join(&key(2), &unknown, named("second")).await), JoinRefusal::UnknownTicket);
    let elsewhere = Ticket { mesh: MeshId::from_bytes([9; 32]), ..ticket.clone() };
    assert_eq!(refused(join(&key(2), &elsewhere, named("second")).await), JoinRefusal::NotForThisMesh);
    assert_eq!(refused(join(&key(2), &ticket, named("root")).await), JoinRefusal::NameTaken);
    let late = enrol_at(&first, &root, Duration::ZERO);
    assert_eq!(refused(join(&key(2), &late, named("second")).await), JoinRefusal::Expired);
    let own_clock = Ticket { expires: Timestamp::from_millis(1), ..ticket.clone() };
    assert!(matches!(join(&key(2), &own_clock, named("second")).await, Err(JoinError::Expired)));
    let nowhere = Ticket { addresses: Vec::new(), ..ticket };
    let there_only = join_by(&key(2), &nowhere, named("second"), Looking::AtTicket).await;
    assert!(matches!(there_only, Err(JoinError::NoAddress)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_does_not_enrol_says_so() {
    let root = Arc::new(Root::new(1));
    let first = root.start(1, &[]).await;
    let ticket = enrol_at(&first, &root, Duration::from_secs(60));
    let device = root.start(2, &[]).await;
    let ticket = Ticket { issuer: device.id(), addresses: device.mesh.listen_addresses(), ..ticket };
    let result = join(&key(3), &ticket, named("third")).await;
    assert!(matches!(result, Err(JoinError::Refused(JoinRefusal::NotAllowed))), "{result:?}");
}

/// Hands out a certificate that its signer had no right to issue.
struct Impostor(Arc<Root>);

impl Enroller for Impostor {
    fn redeem(&self, peer: NodeId, _: &JoinRequest) -> Result<Enrolment, JoinRefusal> {
        Ok(Enrolment { certificate: self.0.certify(peer, "second") })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_of_another_mesh_convinces_nobody() {
    let root = Root::new(1);
    let other = Arc::new(Root::new(7));
    let node = other.start(7, &[]).await;
    node.mesh.enrol_with(Arc::new(Impostor(other.clone())));
    let ticket = Ticket {
        mesh: root.mesh,
        mesh_name: "test".parse().unwrap(),
        issuer: node.id(),
        addresses: node.mesh.listen_addresses(),
        secret: TicketSecret::from_bytes([5; 16]),
        expires: now().plus(Duration::from_secs(60)),
        relays: Vec::new(),
    };
    let result = join(&key(2), &ticket, named("second")).await;
    assert!(matches!(result, Err(JoinError::Genesis(_))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_one_harms_nothing() {
    let root = Arc::new(Root::new(1));
    let first = root.start(1, &[]).await;
    let ticket = enrol_at(&first, &root, Duration::from_secs(60));
    let stranger = raw_endpoint(&key(9)).await;
    let (connection, mut send, _recv) = raw_stream(&stranger, &first, JOIN_ALPN).await;
    send.write_all(&u32::MAX.to_le_bytes()).await.unwrap();
    assert!(closed(&connection).await.contains("violation"));
    let (connection, mut send, mut recv) = raw_stream(&stranger, &first, JOIN_ALPN).await;
    send.write_all(&framed(b"\x02not a request")).await.unwrap();
    let reply = recv.read_to_end(64).await.unwrap();
    assert_eq!(reply, framed(&[2, 1, 7]));
    connection.close(0u32.into(), b"");
    assert_eq!(first.mesh.counters().violations, 2);
    join(&key(2), &ticket, named("second")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_say_itself_who_enrols_it_gets_no_certificate() {
    let root = Arc::new(Root::new(1));
    let first = root.start(1, &[]).await;
    let ticket = enrol_at(&first, &root, Duration::from_secs(60));
    let entry = |by: u8, issuer: NodeId| Object::sign(&key(by), root.mesh, &Entry { issuer });
    let stranger = raw_endpoint(&key(9)).await;
    for entry in [entry(8, first.id()), entry(9, key(7).node_id())] {
        let Applicant { name, architecture, class } = named("second");
        let request = JoinRequest { mesh: root.mesh, secret: ticket.secret.clone(), name, architecture, class, entry };
        let (connection, mut send, mut recv) = raw_stream(&stranger, &first, JOIN_ALPN).await;
        send.write_all(&framed(&[&[2], codec::encode(&request).as_slice()].concat())).await.unwrap();
        assert_eq!(recv.read_to_end(64).await.unwrap(), framed(&[2, 1, 7]));
        connection.close(0u32.into(), b"");
    }
    assert!(!first.mesh.view().borrow().members.contains_key(&key(9).node_id()));
    let joined = join(&key(2), &ticket, named("second")).await.unwrap();
    assert_eq!(joined.certificates[0].kind(), ObjectKind::CERTIFICATE, "the ticket was not used up");
}
