//! A host with several addresses: a device is answered from the one that it asks, and sends its media there.

use super::*;

/// The simulated camera's sockets are connected: it takes nothing from another address than the one that it was given.
async fn a_device_is_answered_from_where_it_asks(listen: &str, transport: Transport, carriage: Carriage) {
    let w = world_at(listen, carriage, false).await;
    let tasks = Tasks::new();
    let mut server = w.handle.addresses()[0];
    server.set_ip("127.0.0.3".parse().unwrap());
    simulated_with(&w, &tasks, |settings| (settings.server, settings.transport) = (server, transport));
    let key = w.stream().await.key().unwrap();
    frames(&w, &key, 20).await;
    let found = w.handle.doctor(w.device).unwrap();
    assert_eq!(found.told.as_deref(), Some(server.to_string().as_str()));
    let invite = &found.calls[0].messages.iter().find(|line| line.text.starts_with("INVITE ")).unwrap().text;
    assert!(invite.contains("c=IN IP4 127.0.0.3"), "{invite}");
    let contact = invite.lines().find(|line| line.starts_with("Contact:")).unwrap();
    assert!(contact.contains(&format!("@{server}")), "{contact}");
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_to_any_of_our_addresses() {
    a_device_is_answered_from_where_it_asks("0.0.0.0:0", Transport::Udp, Carriage::Udp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_to_an_ipv4_address_of_an_ipv6_socket() {
    a_device_is_answered_from_where_it_asks("[::]:0", Transport::Udp, Carriage::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_any_of_our_addresses() {
    a_device_is_answered_from_where_it_asks("0.0.0.0:0", Transport::Tcp, Carriage::Tcp).await;
}
