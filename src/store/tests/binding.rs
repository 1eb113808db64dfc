//! Bindings of templates: what the store promises.

use super::*;
use crate::model::binding::{Binding, How, Instance};
use crate::model::id::TemplateId;
use crate::model::path::Purpose;
use crate::model::template::Kind as Type;
use crate::model::template::{Body, Draft, Filter, Snapshot, Storage, Template, TransConfig, VideoCodec, path};
use crate::store::{Change, Seen};

fn snapshot(name: &str) -> Draft {
    let sequence = path(Purpose::JpgSequence, None).unwrap();
    let body = Snapshot { interval: 60, formats: "jpg".parse().unwrap(), overwrite: None, sequence: Some(sequence), expired: 7 };
    let storage = Storage { region: "cn".to_owned(), bucket: "b".to_owned(), endpoint: "e.test".to_owned() };
    let (description, callback) = (String::new(), Some("http://c.test".to_owned()));
    Draft { name: name.to_owned(), description, callback, storage, body: Body::Snapshot(body) }
}

fn shift(retention: u32) -> Draft {
    Draft { body: Body::Timeshift { retention }, ..snapshot("shift") }
}

fn rule(name: &str) -> TransConfig {
    let (id, name) = (String::new(), name.to_owned());
    TransConfig { id, name, video_codec: VideoCodec::H264, video_bitrate: 800, fps: 25, gop: 50, height: 640, width: 1280 }
}

const REPLACE: How = How { apply_all: false, replace: true };
const ALL: How = How { apply_all: true, replace: false };

async fn make(b: &Bench, scope: Scope, draft: Draft) -> Template {
    b.store.create_template(scope, draft).await.unwrap()
}

async fn acting(b: &Bench, stream: &Stream) -> Vec<TemplateId> {
    b.store.templates_for(stream.id).await.unwrap().into_iter().map(|t| t.id).collect()
}

suite! {
    async fn a_template_comes_back_as_it_was_made(b) {
        let tenant = b.tenant("t").await.scope();
        let made = make(&b, tenant, snapshot("s")).await;
        b.reopen().await;
        assert_eq!(b.store.template(tenant, made.id).await.unwrap(), made);
        is_not_found(b.store.template(b.tenant("u").await.scope(), made.id).await, Noun::Template);
        let changed = b.store.update_template::<Error, _>(tenant, made.id, |t| { t.name = "n".to_owned(); t.callback = None; Ok(()) }).await.unwrap();
        assert_eq!(changed, Template { name: "n".to_owned(), callback: None, ..made.clone() });
        let turned = b.store.update_template::<Error, _>(tenant, made.id, |t| { t.body = Body::Timeshift { retention: 1 }; Ok(()) });
        invalid(turned.await, "Type");
        assert_eq!(b.store.template(tenant, made.id).await.unwrap(), changed);
        b.store.delete_template(tenant, made.id).await.unwrap();
        is_not_found(b.store.delete_template(tenant, made.id).await, Noun::Template);
    }

    async fn rules_get_ids_and_differ_in_name(b) {
        let made = make(&b, Scope::Operator, Draft { body: Body::Transcode(vec![rule("sd"), rule("hd")]), ..snapshot("t") }).await;
        let Body::Transcode(rules) = &made.body else { panic!() };
        assert!(!rules[0].id.is_empty() && rules[0].id != rules[1].id);
        let added = b.store.update_template::<Error, _>(Scope::Operator, made.id, |t| {
            if let Body::Transcode(rules) = &mut t.body { rules.push(rule("4k")) }
            Ok(())
        });
        let Body::Transcode(after) = added.await.unwrap().body else { panic!() };
        assert_eq!((&after[..2], after[2].id.is_empty()), (&rules[..], false));
        let twice = b.store.create_template(Scope::Operator, Draft { body: Body::Transcode(vec![rule("sd"), rule("sd")]), ..snapshot("t") });
        invalid(twice.await, "TransConfigsJSON");
    }

    async fn a_streams_own_binding_wins_over_its_groups(b) {
        let scope = Scope::Operator;
        let group = b.rtmp_group(scope).await;
        let streams = b.store.create_streams(scope, group.id, vec!["a".to_owned(), "b".to_owned()]).await.unwrap();
        let (one, two, other) = (make(&b, scope, snapshot("1")).await, make(&b, scope, snapshot("2")).await, make(&b, scope, shift(3)).await);
        b.store.bind(scope, one.id, Instance::Group(group.id), How::default()).await.unwrap();
        b.store.bind(scope, other.id, Instance::Group(group.id), How::default()).await.unwrap();
        b.store.bind(scope, two.id, Instance::Stream(streams[0].id), How::default()).await.unwrap();
        assert_eq!(acting(&b, &streams[0]).await, [two.id, other.id]);
        assert_eq!(acting(&b, &streams[1]).await, [one.id, other.id]);
        b.store.unbind(scope, Some(two.id), None, Instance::Stream(streams[0].id)).await.unwrap();
        assert_eq!(acting(&b, &streams[0]).await, [one.id, other.id]);
    }

    async fn one_template_of_a_type_unless_replaced(b) {
        let scope = Scope::Operator;
        let group = Instance::Group(b.rtmp_group(scope).await.id);
        let (one, two) = (make(&b, scope, snapshot("1")).await, make(&b, scope, snapshot("2")).await);
        let bound = Binding { template: one.id, kind: Type::Snapshot, instance: group };
        let mut changes = b.store.watch();
        assert_eq!(b.store.bind(scope, one.id, group, How::default()).await.unwrap(), bound);
        assert_eq!(changes.next().await, Some(Seen::Change(Change::Bindings(group))));
        assert_eq!(b.store.bind(scope, one.id, group, How::default()).await.unwrap(), bound, "the same again is no conflict");
        exists(b.store.bind(scope, two.id, group, How::default()).await, Noun::Binding);
        b.store.bind(scope, two.id, group, REPLACE).await.unwrap();
        assert_eq!(b.store.bindings(group).await.unwrap(), [Binding { template: two.id, ..bound }]);
        is_status(b.store.delete_template(scope, two.id).await, Noun::Template);
        b.store.delete_template(scope, one.id).await.unwrap();
        is_not_found(b.store.unbind(scope, Some(one.id), None, group).await, Noun::Binding);
        is_not_found(b.store.unbind(scope, None, Some(Type::Record), group).await, Noun::Binding);
        assert_eq!(b.store.unbind(scope, None, Some(Type::Snapshot), group).await.unwrap(), [Binding { template: two.id, ..bound }]);
        b.store.delete_template(scope, two.id).await.unwrap();
    }

    async fn apply_all_rewrites_the_streams_bindings(b) {
        let scope = Scope::Operator;
        let (group, other) = (b.rtmp_group(scope).await, b.rtmp_group(scope).await);
        let names = || vec!["a".to_owned(), "b".to_owned()];
        let streams = b.store.create_streams(scope, group.id, names()).await.unwrap();
        let elsewhere = b.store.create_streams(scope, other.id, names()).await.unwrap();
        let (one, two) = (make(&b, scope, snapshot("1")).await, make(&b, scope, snapshot("2")).await);
        b.store.bind(scope, one.id, Instance::Stream(streams[0].id), How::default()).await.unwrap();
        b.store.bind(scope, two.id, Instance::Group(group.id), ALL).await.unwrap();
        for stream in &streams {
            assert_eq!(acting(&b, stream).await, [two.id]);
            let of_instance = Filter { instance: Some(stream.id.0), ..Filter::default() };
            assert_eq!(b.store.templates(scope, of_instance, Page::default()).await.unwrap().items[0].id, two.id);
        }
        assert!(acting(&b, &elsewhere[0]).await.is_empty());
        let of_kind = Filter { kind: Some(Type::Record), ..Filter::default() };
        assert_eq!(b.store.templates(scope, of_kind, Page::default()).await.unwrap().total, 0);
        // A group that goes takes its streams' bindings along.
        b.store.update_group::<Error, _>(scope, group.id, |g| { g.enabled = false; Ok(()) }).await.unwrap();
        b.store.delete_group(scope, group.id).await.unwrap();
        b.store.delete_template(scope, two.id).await.unwrap();
    }

    async fn tenants_bind_their_own(b) {
        let (mine, theirs) = (b.tenant("a").await.scope(), b.tenant("b").await.scope());
        let (group, foreign) = (b.rtmp_group(mine).await, b.rtmp_group(theirs).await);
        let (template, alien) = (make(&b, mine, snapshot("1")).await, make(&b, theirs, snapshot("1")).await);
        let bind = async |scope, template: &Template, group: &Group| b.store.bind(scope, template.id, Instance::Group(group.id), REPLACE).await;
        is_not_found(bind(mine, &alien, &group).await, Noun::Template);
        is_not_found(bind(mine, &template, &foreign).await, Noun::Group);
        is_not_found(bind(Scope::Operator, &template, &foreign).await, Noun::Template);
        bind(mine, &template, &group).await.unwrap();
        is_not_found(b.store.unbind(theirs, None, None, Instance::Group(group.id)).await, Noun::Group);
        assert_eq!(b.store.templates(mine, Filter::default(), Page::default()).await.unwrap().total, 1);
        assert_eq!(b.store.templates(Scope::Operator, Filter::default(), Page::default()).await.unwrap().total, 2);
    }
}
