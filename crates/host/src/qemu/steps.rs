//! Steps, each carried out in a thread of its own from beginning to end. A step that is given up stops at its next wait, and every one
//! can be begun again wherever it or the agent was interrupted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use renkei_types::agent::{DiskSource, MachineIntent};
use renkei_types::id::{ImageId, VmId};
use renkei_types::vm::Disk;
use serde_json::json;

use super::cgroup;
use super::command::{ASLEEP, disk_file};
use super::disk::{Disks, Stop};
use super::kept::{Asleep, failed};
use super::machines::{Machines, lock};
use super::monitor::Run;
use super::running::Running;
use crate::chain::chain;
use crate::driver::DriverError;
use crate::images::{Bundle, Digest};
use crate::machine::Form;
use crate::step::Act;

/// Between two looks at something that tells nobody that it has changed.
const LOOK: Duration = Duration::from_millis(10);
/// How long QEMU may take to end when it is told to. It writes down what it holds of its disks.
const LEAVING: Duration = Duration::from_secs(5);
/// A guest that is asked to end may not listen yet: it is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(3);

/// A step, and the machine that it is about.
pub(super) struct Carried<'a> {
    pub machines: &'a Machines,
    pub id: VmId,
    pub stop: &'a Stop,
}

impl Carried<'_> {
    /// Carries it out.
    pub fn out(&self, act: Act) -> Result<(), DriverError> {
        match act {
            Act::Create(intent) => self.create(&intent),
            Act::Label(record) => self.machines.keep(self.id, |kept| kept.record = record),
            Act::Start => self.start(),
            Act::Resume => self.resume(),
            Act::Shutdown => self.shut_down(),
            Act::PowerOff => self.power_off(),
            Act::Reboot => self.reboot(),
            Act::Reset => self.reset(),
            Act::Suspend => self.suspend(),
            Act::Reconfigure(form) => self.reconfigure(form),
            Act::Save(image) => self.save(image),
            Act::Abandon => Ok(()),
            Act::Destroy => self.destroy(),
        }
    }

    fn create(&self, intent: &MachineIntent) -> Result<(), DriverError> {
        let folder = self.machines.folder(self.id);
        fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        // Whatever an attempt before this one has left is written over.
        self.machines.kept(self.id)?.write(&folder)?;
        let (first, more) = match intent.disks.split_first() {
            Some((first, more)) => (*first, more),
            None => return Err(DriverError::permanent("a machine has at least one disk")),
        };
        let made = match &intent.source {
            DiskSource::Template { name, image } => {
                let bundle = self.bundle(name, *image)?;
                large_enough(first, bundle.virtual_bytes, name)?;
                self.disks(&folder, None).overlay(first, &bundle.disk)?;
                (Some(bundle.disk), bundle.boot)
            }
            DiskSource::Machine { vm, host } if *vm != self.id => {
                let source = self.machines.kept(*vm).map_err(|_| elsewhere(*vm, host))?;
                let from = self.machines.folder(*vm).join(disk_file(1));
                let base = self.base(source.base.as_ref());
                self.disks(&folder, base.as_deref())
                    .copy(&from, source.base.as_ref(), first)?;
                (source.base, source.boot)
            }
            DiskSource::Machine { host, .. } | DiskSource::Move { host } => return Err(elsewhere(self.id, host)),
        };
        for disk in more {
            self.disks(&folder, None).empty(*disk)?;
        }
        let (base, boot) = made;
        self.machines.keep(self.id, |kept| {
            kept.form = Form::of(intent);
            (kept.base, kept.boot) = (base, boot);
            kept.whole = true;
        })
    }

    fn bundle(&self, name: &str, image: Option<ImageId>) -> Result<Bundle, DriverError> {
        let images = &self.machines.images;
        let found = match image {
            Some(image) => images.image(image),
            None => images.template(name),
        };
        let found = found.map_err(|error| DriverError::permanent(chain(&error)))?;
        found.ok_or_else(|| {
            let what = image.map_or_else(
                || format!("template `{name}`"),
                |image| format!("image {image} of template `{name}`"),
            );
            DriverError::permanent(format!("this host has no {what}"))
        })
    }

    fn start(&self) -> Result<(), DriverError> {
        if self.machines.running(self.id).is_some() {
            return Ok(());
        }
        self.machines.keep(self.id, |kept| kept.halted = false)?;
        self.launch(None)
    }

    /// From here on the snapshot is of the past: should anything go wrong after QEMU runs, the machine is off, and not what it was.
    fn resume(&self) -> Result<(), DriverError> {
        if self.machines.running(self.id).is_some() {
            return Ok(());
        }
        let asleep = self.machines.kept(self.id)?.asleep;
        let asleep = asleep.ok_or_else(|| DriverError::permanent(format!("machine {} is not suspended", self.id)))?;
        self.machines.keep(self.id, |kept| kept.asleep = None)?;
        if let Err(error) = self.launch(Some(&asleep)) {
            self.end()?;
            self.machines.keep(self.id, |kept| kept.asleep = Some(asleep))?;
            return Err(error);
        }
        let running = self.qemu()?;
        self.job(
            &running,
            "snapshot-delete",
            json!({"tag": ASLEEP, "devices": ["disk1"]}),
        )
    }

    /// Starts QEMU and waits until the guest runs.
    fn launch(&self, asleep: Option<&Asleep>) -> Result<(), DriverError> {
        let launched = super::launch::launch(self.machines, self.id, asleep, self.stop);
        let running = match launched {
            Ok(process) => Arc::new(Running::new(self.machines.folder(self.id), process)),
            Err(error) => {
                self.unplug()?;
                return Err(error);
            }
        };
        // Where there is none it goes on without.
        let _ = cgroup::enter(self.id, running.pid());
        if let Some(entry) = self.machines.entries().get_mut(&self.id) {
            entry.running = Some(Arc::clone(&running));
        }
        let started = self.until(|| match running.lives() {
            false => Some(Err(super::launch::said(&self.machines.folder(self.id)))),
            true => running.monitor().ok().map(|_| Ok(())),
        })?;
        if let Err(error) = started {
            self.end()?;
            return Err(error);
        }
        Ok(())
    }

    fn shut_down(&self) -> Result<(), DriverError> {
        let Some(running) = self.machines.running(self.id) else {
            return self.put_to_rest();
        };
        self.ask_to_end(&running)?;
        self.end()
    }

    /// Asks the guest to end by itself, and waits until it has.
    fn ask_to_end(&self, running: &Running) -> Result<(), DriverError> {
        let mut asked: Option<Instant> = None;
        self.until(|| match running.changed(Run::Running, LOOK) {
            Run::Ended => Some(()),
            Run::Gone if !running.lives() => Some(()),
            run => {
                if run == Run::Still {
                    // One that stands still hears nothing.
                    let _ = running.say("cont");
                }
                if asked.is_none_or(|asked| asked.elapsed() >= ASKED_AGAIN) {
                    let _ = running.say("system_powerdown");
                    asked = Some(Instant::now());
                }
                None
            }
        })
    }

    fn power_off(&self) -> Result<(), DriverError> {
        self.end()?;
        self.put_to_rest()
    }

    /// A machine that does not run is not suspended any more, and has not ended by itself.
    fn put_to_rest(&self) -> Result<(), DriverError> {
        let before = self.machines.kept(self.id)?;
        self.machines.keep(self.id, |kept| {
            kept.asleep = None;
            kept.halted = false;
        })?;
        if before.asleep.is_some() {
            let base = self.base(before.base.as_ref());
            self.disks(&self.machines.folder(self.id), base.as_deref()).forget()?;
        }
        Ok(())
    }

    fn reboot(&self) -> Result<(), DriverError> {
        let running = self.qemu()?;
        self.ask_to_end(&running)?;
        if !running.lives() {
            return self.launch(None);
        }
        running.say("system_reset")?;
        running.say("cont")
    }

    fn reset(&self) -> Result<(), DriverError> {
        let running = self.qemu()?;
        running.say("system_reset")?;
        match running.run() {
            Run::Running => Ok(()),
            _ => running.say("cont"),
        }
    }

    fn suspend(&self) -> Result<(), DriverError> {
        let running = self.qemu()?;
        let chipset = running.tell("qom-get", json!({"path": "/machine", "property": "type"}))?;
        let chipset = chipset
            .as_str()
            .unwrap_or_default()
            .trim_end_matches("-machine")
            .to_owned();
        let accel = super::launch::accel_of(self.machines);
        running.say("stop")?;
        // One that another attempt has left would be in the way.
        self.job(
            &running,
            "snapshot-delete",
            json!({"tag": ASLEEP, "devices": ["disk1"]}),
        )?;
        let devices: Vec<String> = self.disk_names()?;
        let arguments = json!({"tag": ASLEEP, "vmstate": "disk1", "devices": devices});
        if let Err(error) = self.job(&running, "snapshot-save", arguments) {
            running.say("cont")?;
            return Err(error);
        }
        self.machines
            .keep(self.id, |kept| kept.asleep = Some(Asleep { chipset, accel }))?;
        self.end()
    }

    fn disk_names(&self) -> Result<Vec<String>, DriverError> {
        let form = self.machines.kept(self.id)?.form;
        Ok(form.disks.iter().map(|disk| format!("disk{}", disk.number)).collect())
    }

    /// Has QEMU do something that takes time, and waits for it (qapi/job.json).
    fn job(&self, running: &Running, command: &str, mut arguments: serde_json::Value) -> Result<(), DriverError> {
        let name = "renkei";
        if let Some(map) = arguments.as_object_mut() {
            map.insert("job-id".to_owned(), name.into());
        }
        running.tell(command, arguments)?;
        let ended = self.until(|| {
            let jobs = match running.tell("query-jobs", json!({})) {
                Ok(jobs) => jobs,
                Err(error) => return Some(Err(error)),
            };
            let ours = jobs.as_array()?.iter().find(|job| job["id"] == name)?;
            (ours["status"] == "concluded").then(|| Ok(ours["error"].as_str().map(str::to_owned)))
        })??;
        running.tell("job-dismiss", json!({"id": name}))?;
        match ended {
            None => Ok(()),
            Some(why) => Err(DriverError::transient(format!("QEMU's {command}: {why}"))),
        }
    }

    fn reconfigure(&self, form: Form) -> Result<(), DriverError> {
        let folder = self.machines.folder(self.id);
        let before = self.machines.kept(self.id)?;
        let base = self.base(before.base.as_ref());
        let disks = self.disks(&folder, base.as_deref());
        for disk in &form.disks {
            match before.form.disks.iter().find(|old| old.number == disk.number) {
                Some(old) if old.gib == disk.gib => {}
                Some(_) => disks.grow(*disk)?,
                None => disks.empty(*disk)?,
            }
        }
        self.unplug()?;
        self.machines.keep(self.id, |kept| kept.form = form)
    }

    fn save(&self, image: ImageId) -> Result<(), DriverError> {
        const FLAT: &str = "saved.qcow2";
        let kept = self.machines.kept(self.id)?;
        let folder = self.machines.folder(self.id);
        let images = &self.machines.images;
        let base = self.base(kept.base.as_ref());
        self.disks(&folder, base.as_deref()).flatten(FLAT)?;
        let flat = folder.join(FLAT);
        let failed_images = |error| DriverError::transient(chain(&error));
        let digest = images.add(&flat).map_err(failed_images)?;
        fs::remove_file(&flat).map_err(failed("remove", &flat))?;
        let first = kept.form.disks.first().map_or(0, |disk| disk.gib);
        let bundle = Bundle {
            disk: digest,
            virtual_bytes: first << 30,
            boot: kept.boot,
            facts: Default::default(),
        };
        images.put_image(image, &bundle).map_err(failed_images)?;
        self.machines
            .keep(self.id, |kept| kept.saved = Some((image, digest.to_string())))
    }

    /// The folder goes in two steps, so that a crash in between leaves nothing that looks like a machine.
    fn destroy(&self) -> Result<(), DriverError> {
        self.end()?;
        cgroup::remove(self.id);
        let folder = self.machines.folder(self.id);
        let going = self.machines.settings.going(self.id);
        remove(&going)?;
        match fs::rename(&folder, &going) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("remove", &folder)(error)),
        }
        self.machines.entries().remove(&self.id);
        remove(&going)
    }

    /// Ends QEMU: by asking it first, so that what it holds of the disks is written.
    fn end(&self) -> Result<(), DriverError> {
        if let Some(running) = self.machines.running(self.id) {
            let _ = running.say("quit");
            let since = Instant::now();
            while running.lives() {
                if since.elapsed() >= LEAVING {
                    running.kill()?;
                    self.goes_on()?;
                }
                std::thread::sleep(LOOK);
            }
        }
        if let Some(entry) = self.machines.entries().get_mut(&self.id) {
            entry.running = None;
        }
        self.unplug()
    }

    fn unplug(&self) -> Result<(), DriverError> {
        let unplugged = lock(&self.machines.network).unplug(self.id);
        unplugged.map_err(|error| DriverError::transient(chain(&error)))
    }

    fn disks<'a>(&'a self, folder: &'a Path, base: Option<&'a Path>) -> Disks<'a> {
        Disks {
            folder,
            base,
            stop: self.stop,
        }
    }

    /// Where a base lies.
    fn base(&self, digest: Option<&Digest>) -> Option<PathBuf> {
        digest.map(|digest| self.machines.images.path(digest))
    }

    fn qemu(&self) -> Result<Arc<Running>, DriverError> {
        let running = self.machines.running(self.id);
        running.ok_or_else(|| DriverError::transient(format!("machine {} does not run any more", self.id)))
    }

    /// Waits for something until the step is given up.
    fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Result<T, DriverError> {
        loop {
            if let Some(ready) = ready() {
                return Ok(ready);
            }
            self.goes_on()?;
            std::thread::sleep(LOOK);
        }
    }

    /// An error once the step is given up.
    fn goes_on(&self) -> Result<(), DriverError> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(DriverError::transient("it was given up")),
            false => Ok(()),
        }
    }
}

fn remove(folder: &PathBuf) -> Result<(), DriverError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", folder)(error)),
        _ => Ok(()),
    }
}

fn large_enough(disk: Disk, least: u64, name: &str) -> Result<(), DriverError> {
    if disk.gib.saturating_mul(1 << 30) >= least {
        return Ok(());
    }
    let (gib, least) = (disk.gib, least.div_ceil(1 << 30));
    Err(DriverError::permanent(format!(
        "disk 1 has {gib} GiB, and template `{name}` needs {least} GiB"
    )))
}

fn elsewhere(vm: VmId, host: &renkei_types::id::HostId) -> DriverError {
    DriverError::permanent(format!(
        "the disk of machine {vm} lies at host {host}, and this version copies none between hosts"
    ))
}
