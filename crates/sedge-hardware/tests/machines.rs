//! Machines as their files show them: layouts after the kernel's and the vendors' documentation, and the real one.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::path::Path;

use sedge_hardware::{available_memory, class, detect, disk_size, gauges};
use sedge_statement::{ByteSize, Charge, Gauges, Load, Profile, Temperature};

/// A tree with these files in it.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

fn profile(root: &tempfile::TempDir) -> Profile {
    detect(root.path(), ByteSize::mib(1024))
}

const ORIN: &[(&str, &str)] = &[
    ("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0"),
    ("proc/device-tree/compatible", "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0"),
    (
        "proc/meminfo",
        "MemTotal:        7802792 kB\nMemFree:          355036 kB\nMemAvailable:    5242880 kB\nSwapTotal:       3901392 kB\n",
    ),
    (
        "proc/cpuinfo",
        "processor\t: 0\nBogoMIPS\t: 62.50\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd42\n\n\
         processor\t: 1\nBogoMIPS\t: 62.50\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd42\n",
    ),
    ("proc/self/status", "Name:\tsedge\nCpus_allowed:\t3f\nCpus_allowed_list:\t0-5\n"),
    ("proc/self/cgroup", "0::/system.slice/sedge.service\n"),
    ("sys/fs/cgroup/system.slice/sedge.service/memory.max", "max\n"),
    ("sys/fs/cgroup/system.slice/sedge.service/cpu.max", "max 100000\n"),
    ("proc/sys/kernel/osrelease", "5.15.136-tegra\n"),
    ("etc/os-release", "NAME=\"Ubuntu\"\nPRETTY_NAME=\"Ubuntu 22.04.4 LTS\"\n"),
    (
        "etc/nv_tegra_release",
        "# R36 (release), REVISION: 3.0, GCID: 36191598, BOARD: generic, EABI: aarch64, DATE: Mon May  6 17:34:21 UTC 2024\n",
    ),
];

#[test]
fn a_jetson_has_one_pool_of_memory_that_its_accelerator_shares() {
    let root = tree(ORIN);
    let profile = profile(&root);
    assert_eq!(class(root.path()).as_str(), "jetson-orin");
    assert_eq!(profile.cpu, "Cortex-A78AE");
    assert_eq!(profile.cores, 6);
    assert_eq!(profile.os, "Ubuntu 22.04.4 LTS, Linux 5.15.136-tegra, JetPack 6 (L4T R36.3.0)");
    let total = 7_802_792 * 1024;
    assert_eq!(profile.memory.len(), 1);
    assert_eq!((profile.memory[0].total.get(), profile.memory[0].allocatable.get()), (total, total - total / 8));
    assert_eq!(profile.accelerators.len(), 1);
    assert_eq!(profile.accelerators[0].name, "NVIDIA Orin GPU, compute 8.7");
    assert_eq!(profile.accelerators[0].pool, profile.memory[0].name);
    assert_eq!(available_memory(root.path()), Some(ByteSize::mib(5120)));
}

#[test]
fn a_jetson_without_a_known_chip_is_still_a_jetson() {
    let root = tree(&[
        ("proc/device-tree/model", "NVIDIA Jetson Next\0"),
        ("proc/device-tree/compatible", "nvidia,tegra999\0"),
    ]);
    assert_eq!(class(root.path()).as_str(), "jetson");
    assert!(profile(&root).accelerators.is_empty());
}

#[test]
fn a_console_with_a_tegra_is_no_jetson() {
    let root =
        tree(&[("proc/device-tree/model", "Some Handheld\0"), ("proc/device-tree/compatible", "nvidia,tegra210\0")]);
    assert_eq!(class(root.path()).as_str(), std::env::consts::ARCH.replace('_', "-"));
    assert!(profile(&root).accelerators.is_empty());
}

#[test]
fn a_raspberry_pi_is_classed_by_its_model() {
    let root = tree(&[
        ("sys/firmware/devicetree/base/model", "Raspberry Pi 5 Model B Rev 1.0\0"),
        (
            "proc/cpuinfo",
            "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\nprocessor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\nRevision\t: c04170\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
        ),
        ("proc/meminfo", "MemTotal:        4131392 kB\n"),
    ]);
    assert_eq!(class(root.path()).as_str(), "raspberry-pi-5");
    let profile = profile(&root);
    assert_eq!((profile.cpu.as_str(), profile.cores), ("Cortex-A76", 2));
    assert!(profile.accelerators.is_empty());
}

const BOX: &[(&str, &str)] = &[
    ("proc/meminfo", "MemTotal:       16384000 kB\n"),
    ("proc/cpuinfo", "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Processor   @ 2.10GHz\nflags\t\t: fpu\n"),
    ("proc/self/status", "Cpus_allowed_list:\t0-3,8,10-11\n"),
];

#[test]
fn affinity_counts_and_names_are_tidied() {
    let root = tree(BOX);
    let profile = profile(&root);
    assert_eq!((profile.cpu.as_str(), profile.cores), ("Intel(R) Xeon(R) Processor @ 2.10GHz", 7));
    assert_eq!(profile.memory[0].total, ByteSize(16_384_000 * 1024));
}

#[test]
fn the_tightest_group_above_counts_in_version_2() {
    let mut files = BOX.to_vec();
    files.extend([
        ("proc/self/cgroup", "0::/machine/pod/inner\n"),
        ("sys/fs/cgroup/machine/memory.max", "2147483648\n"),
        ("sys/fs/cgroup/machine/pod/memory.max", "1073741824\n"),
        ("sys/fs/cgroup/machine/pod/inner/memory.max", "max\n"),
        ("sys/fs/cgroup/machine/cpu.max", "150000 100000\n"),
        ("sys/fs/cgroup/machine/pod/inner/cpu.max", "max 100000\n"),
    ]);
    let profile = profile(&tree(&files));
    assert_eq!(profile.memory[0].total, ByteSize::mib(1024));
    assert_eq!(profile.memory[0].allocatable, ByteSize::mib(768));
    assert_eq!(profile.cores, 2);
}

#[test]
fn limits_count_in_version_1_and_its_way_to_say_none_is_none() {
    let mut files = BOX.to_vec();
    files.extend([
        ("proc/self/cgroup", "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "536870912\n"),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "250000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n"),
    ]);
    let profile = profile(&tree(&files));
    assert_eq!(profile.memory[0].total, ByteSize::mib(512));
    assert_eq!(profile.cores, 3);
}

#[test]
fn a_container_that_sees_its_own_group_as_the_root_is_limited_by_it() {
    let mut files = BOX.to_vec();
    files.extend([("proc/self/cgroup", "0::/../../elsewhere\n"), ("sys/fs/cgroup/memory.max", "1073741824\n")]);
    assert_eq!(profile(&tree(&files)).memory[0].total, ByteSize::mib(1024));
}

#[test]
fn an_empty_tree_is_a_machine_of_one_core_and_no_memory() {
    let profile = profile(&tree(&[]));
    assert_eq!((profile.cores, profile.cpu.as_str()), (1, "unknown"));
    assert_eq!((profile.memory[0].total, profile.memory[0].allocatable), (ByteSize(0), ByteSize(0)));
    assert_eq!(profile.disk, ByteSize::mib(1024));
}

#[test]
fn malformed_files_never_panic_and_never_say_more_than_they_can() {
    let long = "9".repeat(70_000);
    let root = tree(ORIN);
    for junk in [
        "",
        "\0",
        "\0\0\0",
        ":",
        "-",
        "0-",
        "-1",
        "MemTotal: -4 kB",
        "MemTotal: 99999999999999999999 kB",
        "MemTotal: 18446744073709551615 kB",
        "Cpus_allowed_list: 5-1",
        "Cpus_allowed_list: 0-18446744073709551615",
        "Cpus_allowed_list: ,,",
        "0::/",
        "0",
        "0:",
        "0::",
        "100000 0",
        "0 0",
        "# R",
        "# R36",
        "# R36 REVISION:",
        "CPU implementer : 0x\nCPU part : 0xfffffffffff",
        "PRETTY_NAME=\"",
        "Jetson",
        "Raspberry Pi",
        "Raspberry Pi 99999999999999999999",
        "Raspberry Pi Compute Module",
        "\u{fffd}\u{1f980}",
        &long,
    ] {
        for (path, sound) in ORIN {
            std::fs::write(root.path().join(path), junk).unwrap();
            let profile = profile(&root);
            assert!(profile.cores >= 1 && profile.cpu.len() < 1000 && profile.os.len() < 1000, "{path}: {junk:?}");
            assert!(profile.memory[0].allocatable <= profile.memory[0].total);
            let _ = (class(root.path()), available_memory(root.path()));
            std::fs::write(root.path().join(path), sound).unwrap();
        }
    }
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("proc/meminfo")).unwrap();
    std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
    std::fs::write(root.path().join("proc/self/status"), [0xff, 0xfe, b':', 0x80]).unwrap();
    assert_eq!(profile(&root).cores, 1);
}

#[test]
fn this_very_machine_is_described() {
    let disk = disk_size(&std::env::temp_dir()).unwrap();
    let profile = detect(Path::new("/"), disk);
    assert_eq!(profile.architecture.as_str(), std::env::consts::ARCH);
    assert!(profile.os.contains("Linux"), "{}", profile.os);
    assert!(profile.cores >= 1 && profile.disk > ByteSize(0));
    assert!(profile.memory[0].total > ByteSize::mib(64) && profile.memory[0].allocatable < profile.memory[0].total);
    assert!(available_memory(Path::new("/")).unwrap() > ByteSize(0));
    assert!(!class(Path::new("/")).as_str().contains('_'));
    println!("{profile:#?} {}", class(Path::new("/")));
}

#[test]
fn a_path_that_is_not_there_has_no_disk() {
    assert!(disk_size(Path::new("/no/such/place")).is_err());
}

#[test]
fn a_robot_tells_its_hottest_part_its_emptiest_battery_and_its_load() {
    let root = tree(&[
        ("proc/meminfo", "MemTotal: 2048 kB\nMemAvailable: 1024 kB\n"),
        ("proc/loadavg", "1.07 0.50 0.25 2/300 4711\n"),
        ("sys/class/thermal/thermal_zone0/temp", "41500\n"),
        ("sys/class/thermal/thermal_zone1/temp", "63999\n"),
        ("sys/class/thermal/thermal_zone2/temp", "-256000\n"),
        ("sys/class/thermal/cooling_device0/temp", "99000\n"),
        ("sys/class/power_supply/AC/type", "Mains\n"),
        ("sys/class/power_supply/BAT0/type", "Battery\n"),
        ("sys/class/power_supply/BAT0/capacity", "80\n"),
        ("sys/class/power_supply/BAT1/type", "Battery\n"),
        ("sys/class/power_supply/BAT1/capacity", "34\n"),
        ("sys/class/power_supply/mouse/type", "Battery\n"),
        ("sys/class/power_supply/mouse/scope", "Device\n"),
        ("sys/class/power_supply/mouse/capacity", "3\n"),
    ]);
    let said = Gauges {
        memory_free: Some(ByteSize::mib(1)),
        load: Some(Load(107)),
        temperature: Some(Temperature(639)),
        battery: Charge::try_from(34).ok(),
        queue: None,
    };
    assert_eq!(gauges(root.path()), said);
}

#[test]
fn gauges_that_are_missing_or_damaged_are_absent() {
    assert_eq!(gauges(tree(&[]).path()), Gauges::default());
    for junk in ["", "x", "-1", "1", "1.", ".5", "1.5", "1.005", "99999999999.00", "1e400", "256", "\u{fffd}"] {
        let root = tree(&[
            ("proc/meminfo", junk),
            ("proc/loadavg", junk),
            ("sys/class/thermal/thermal_zone0/temp", &format!("{junk}9999999")),
            ("sys/class/power_supply/BAT0/type", "Battery"),
            ("sys/class/power_supply/BAT0/capacity", &format!("{junk}x")),
        ]);
        assert_eq!(gauges(root.path()), Gauges::default(), "{junk:?}");
    }
    let real = gauges(Path::new("/"));
    assert!(real.memory_free.is_some() && real.load.is_some(), "{real}");
}
