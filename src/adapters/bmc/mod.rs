//! The machines' management controllers, each by the protocol that it speaks.
//!
//! Nothing here switches a machine's power: it reads, and it switches lamps. A list of parts is whole or unknown; a
//! page that is missing in the middle of it would look like a part that vanished.

mod error;
mod ipmi;
mod redfish;
mod trust;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

pub use error::BmcError;
pub use ipmi::IpmiConfig;
pub use redfish::RedfishConfig;
pub use trust::Trust;

use crate::model::ids::NodeName;
use crate::model::observed::{BmcView, Inventory, LocateTarget};
use crate::model::reach::Call;
use crate::model::seen::{Seen, Trouble};
use crate::model::step::Switch;
use crate::ports::{Bmc, Clock};

/// What pitlane can say to controllers. Nothing of it switches power.
pub fn statement() -> Vec<Call> {
    [redfish::statement(), ipmi::statement()].concat()
}

/// How one machine's controller is reached.
#[derive(Clone, Debug)]
pub enum BmcConfig {
    Redfish(RedfishConfig),
    Ipmi(IpmiConfig),
}

enum Controller {
    Redfish(Box<redfish::Redfish>),
    Ipmi(ipmi::Ipmi),
}

/// Every controller that pitlane may ask.
pub struct Bmcs {
    controllers: BTreeMap<NodeName, Controller>,
    clock: Arc<dyn Clock>,
}

impl Bmcs {
    /// Nothing is sent yet. `private`: our own directory, for the files that keep passwords off the command line.
    ///
    /// # Errors
    /// A matter of configuration: addresses, certificates, files.
    pub fn new(
        nodes: BTreeMap<NodeName, BmcConfig>,
        private: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BmcError> {
        let controller = |(node, config): (NodeName, BmcConfig)| {
            let controller = match config {
                BmcConfig::Redfish(config) => Controller::Redfish(Box::new(redfish::Redfish::new(config)?)),
                BmcConfig::Ipmi(config) => Controller::Ipmi(ipmi::Ipmi::new(&node, config, &private)?),
            };
            Ok::<_, BmcError>((node, controller))
        };
        let controllers = nodes.into_iter().map(controller).collect::<Result<_, _>>()?;
        Ok(Self { controllers, clock })
    }

    fn controller(&self, node: &NodeName) -> Result<&Controller, Trouble> {
        let none = || Trouble::NotConfigured(format!("no BMC of {node} is configured"));
        self.controllers.get(node).ok_or_else(none)
    }
}

#[async_trait]
impl Bmc for Bmcs {
    async fn look(&self, node: &NodeName) -> Seen<BmcView> {
        // Dated before the question, so that its age is never understated.
        let at = self.clock.now();
        let view = match self.controller(node) {
            Ok(Controller::Redfish(redfish)) => redfish.look().await.map_err(Trouble::from),
            Ok(Controller::Ipmi(ipmi)) => ipmi.look().await.map_err(Trouble::from),
            Err(why) => Err(why),
        };
        seen(view, at)
    }

    async fn inventory(&self, node: &NodeName) -> Seen<Inventory> {
        let at = self.clock.now();
        let parts = match self.controller(node) {
            Ok(Controller::Redfish(redfish)) => redfish.inventory().await.map_err(Trouble::from),
            Ok(Controller::Ipmi(ipmi)) => ipmi.inventory().await.map_err(Trouble::from),
            Err(why) => Err(why),
        };
        seen(parts, at)
    }

    async fn locate(&self, node: &NodeName, target: &LocateTarget, to: Switch) -> Result<(), Trouble> {
        match self.controller(node)? {
            Controller::Redfish(redfish) => Ok(redfish.locate(target, to).await?),
            Controller::Ipmi(ipmi) => Ok(ipmi.locate(target, to).await?),
        }
    }
}

fn seen<T>(answer: Result<T, Trouble>, at: crate::model::time::Time) -> Seen<T> {
    match answer {
        Ok(value) => Seen::known(value, at),
        Err(why) => why.into(),
    }
}
