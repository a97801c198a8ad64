//! The words of rtnetlink(7): message kinds, attributes and flags, with the kernel's names.

// Kinds of messages: linux/rtnetlink.h.
pub const RTM_NEWLINK: u16 = 16;
pub const RTM_DELLINK: u16 = 17;
pub const RTM_GETLINK: u16 = 18;
pub const RTM_NEWADDR: u16 = 20;
pub const RTM_GETADDR: u16 = 22;
pub const RTM_NEWROUTE: u16 = 24;
pub const RTM_GETROUTE: u16 = 26;

// Attributes of a link: linux/if_link.h.
pub const IFLA_ADDRESS: u16 = 1;
pub const IFLA_IFNAME: u16 = 3;
pub const IFLA_MTU: u16 = 4;
pub const IFLA_LINK: u16 = 5;
pub const IFLA_MASTER: u16 = 10;
pub const IFLA_LINKINFO: u16 = 18;
pub const IFLA_NET_NS_PID: u16 = 19;
pub const IFLA_IFALIAS: u16 = 20;
pub const IFLA_LINK_NETNSID: u16 = 37;
/// Within IFLA_LINKINFO.
pub const IFLA_INFO_KIND: u16 = 1;
pub const IFLA_INFO_DATA: u16 = 2;
/// The same of the bridge that a link is plugged into.
pub const IFLA_INFO_SLAVE_KIND: u16 = 4;
pub const IFLA_INFO_SLAVE_DATA: u16 = 5;
/// Within IFLA_INFO_SLAVE_DATA of a bridge: "also back to where it came from".
pub const IFLA_BRPORT_MODE: u16 = 4;
/// Within IFLA_INFO_DATA of a veth: linux/veth.h.
pub const VETH_INFO_PEER: u16 = 1;
/// A flag of a link: netdevice(7).
pub const IFF_UP: u32 = 1;

// Attributes of an address: linux/if_addr.h.
pub const IFA_ADDRESS: u16 = 1;
pub const IFA_LOCAL: u16 = 2;
pub const IFA_BROADCAST: u16 = 4;
/// "Nobody else has it, don't ask": without this an IPv6 address can't be used for a second.
pub const IFA_F_NODAD: u8 = 2;

// A route: linux/rtnetlink.h.
pub const RTA_DST: u16 = 1;
pub const RTA_OIF: u16 = 4;
pub const RTA_GATEWAY: u16 = 5;
pub const RTA_TABLE: u16 = 15;
pub const RT_TABLE_MAIN: u8 = 254;
pub const RTPROT_STATIC: u8 = 4;
pub const RT_SCOPE_UNIVERSE: u8 = 0;
pub const RTN_UNICAST: u8 = 1;

// Families of addresses: linux/socket.h.
pub const AF_INET: u8 = 2;
pub const AF_INET6: u8 = 10;
