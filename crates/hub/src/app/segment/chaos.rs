//! Generations: whatever happens in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use renkei_types::lease::NewLease;
use renkei_types::operation::{Generation, Operation};
use renkei_types::segment::SegmentPatch;

use super::trial::{Net, rule};
use crate::app::trial::{done, first_page};

/// What can happen to a segment.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Rule,
    RemoveRule,
    Strict(bool),
    Reserve,
    Obey,
    Late(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        Just(Happens::Rule),
        Just(Happens::RemoveRule),
        any::<bool>().prop_map(Happens::Strict),
        Just(Happens::Reserve),
        Just(Happens::Obey),
        (0_u64..30).prop_map(Happens::Late),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn generations_only_grow_and_nothing_seen_is_unmeant(all in prop::collection::vec(happens(), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let net = Net::new().await;
            let (app, asked) = (&net.trial.app, net.asked().await);
            let host = net.gateway().await;
            let id = net.segment("lab").await.id;
            let mut before = net.now(id).await.unwrap();
            for what in all {
                match what {
                    Happens::Rule => {
                        done(app.create_acl(&asked, id, rule("0.0.0.0/0", "10.15.0.0/21")).await);
                    }
                    Happens::RemoveRule => {
                        let rules = app.acls(&asked, net.project, &first_page()).await.unwrap();
                        if let Some(rule) = rules.items.first() {
                            done(app.delete_acl(&asked, rule.id).await);
                        }
                    }
                    Happens::Strict(strict) => {
                        let patch = SegmentPatch { strict: Some(strict), ..SegmentPatch::default() };
                        done(app.change_segment(&asked, id, patch).await);
                    }
                    Happens::Reserve => {
                        let new = NewLease { address: None, note: String::new() };
                        done(app.reserve_lease(&asked, id, new).await);
                    }
                    Happens::Obey => net.obeys(host).await,
                    Happens::Late(generation) => {
                        let generation = Generation(generation.min(before.generation.0));
                        let report = BTreeMap::from([(id, generation)]);
                        app.heard_segments(host, &report, asked.now).await.unwrap();
                    }
                }
                let now = net.now(id).await.unwrap();
                assert!(now.generation >= before.generation && now.seen >= before.seen, "{what:?}");
                assert!(now.seen <= now.generation);
                assert_eq!(net.manifest(host).await.segments[&id], now.generation);
                let intent = app.segment_intent(id, asked.now).await.unwrap().unwrap();
                let rules = app.acls(&asked, net.project, &first_page()).await.unwrap();
                assert_eq!((intent.generation, intent.acls.len()), (now.generation, rules.items.len()));
                let open = app.every::<Operation>("open", &id.to_string()).await.unwrap();
                assert!(open.iter().all(|open| open.value.generation > now.seen));
                before = now;
            }
        });
    }
}
