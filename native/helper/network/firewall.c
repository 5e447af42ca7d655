#include "firewall.h"

#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#define SOURCE_ADDRESS_AT 12 /* in an IPv4 header */
#define CHAIN "postrouting"
#define SOURCE_NAT_PRIORITY 100

static struct nlmsghdr *begin_table_message(struct message *message, unsigned type, uint16_t flags)
{
    struct nlmsghdr *header = begin_message(message, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags);
    struct nfgenmsg *family = append_fixed(message, sizeof *family);
    family->nfgen_family = NFPROTO_IPV4;
    return header;
}

static void append_batch_end(struct message *message, uint16_t type)
{
    struct nlmsghdr *header = begin_message(message, type, 0);
    struct nfgenmsg *family = append_fixed(message, sizeof *family);
    family->nfgen_family = AF_UNSPEC;
    family->res_id = htons(NFNL_SUBSYS_NFTABLES);
    end_message(message, header);
}

static void append_table(struct message *message, unsigned type, const char *name)
{
    struct nlmsghdr *header = begin_table_message(message, type, NLM_F_ACK | (type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0));
    append_text(message, NFTA_TABLE_NAME, name);
    end_message(message, header);
}

static void append_chain(struct message *message, const char *table)
{
    struct nlmsghdr *header = begin_table_message(message, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_ACK);
    append_text(message, NFTA_CHAIN_TABLE, table);
    append_text(message, NFTA_CHAIN_NAME, CHAIN);
    append_text(message, NFTA_CHAIN_TYPE, "nat");
    struct nlattr *hook = begin_nest(message, NFTA_CHAIN_HOOK);
    append_u32(message, NFTA_HOOK_HOOKNUM, htonl(NF_INET_POST_ROUTING));
    append_u32(message, NFTA_HOOK_PRIORITY, htonl(SOURCE_NAT_PRIORITY));
    end_nest(message, hook);
    end_message(message, header);
}

struct expression {
    struct nlattr *element;
    struct nlattr *data;
};

static struct expression begin_expression(struct message *message, const char *name)
{
    struct expression expression = {.element = begin_nest(message, NFTA_LIST_ELEM)};
    append_text(message, NFTA_EXPR_NAME, name);
    expression.data = begin_nest(message, NFTA_EXPR_DATA);
    return expression;
}

static void end_expression(const struct message *message, struct expression expression)
{
    end_nest(message, expression.data);
    end_nest(message, expression.element);
}

static void append_value(struct message *message, uint16_t type, const void *value, size_t length)
{
    struct nlattr *data = begin_nest(message, type);
    append(message, NFTA_DATA_VALUE, value, length);
    end_nest(message, data);
}

static void append_comparison(struct message *message, enum nft_cmp_ops op, const void *value, size_t length)
{
    struct expression compare = begin_expression(message, "cmp");
    append_u32(message, NFTA_CMP_SREG, htonl(NFT_REG_1));
    append_u32(message, NFTA_CMP_OP, htonl(op));
    append_value(message, NFTA_CMP_DATA, value, length);
    end_expression(message, compare);
}

/* ip saddr SUBNET */
static void append_source(struct message *message, struct address subnet)
{
    uint32_t mask = htonl(subnet.prefix ? ~0u << (32 - subnet.prefix) : 0), none = 0, wanted = subnet.ip & mask;
    struct expression load = begin_expression(message, "payload");
    append_u32(message, NFTA_PAYLOAD_DREG, htonl(NFT_REG_1));
    append_u32(message, NFTA_PAYLOAD_BASE, htonl(NFT_PAYLOAD_NETWORK_HEADER));
    append_u32(message, NFTA_PAYLOAD_OFFSET, htonl(SOURCE_ADDRESS_AT));
    append_u32(message, NFTA_PAYLOAD_LEN, htonl(sizeof mask));
    end_expression(message, load);
    struct expression bitwise = begin_expression(message, "bitwise");
    append_u32(message, NFTA_BITWISE_SREG, htonl(NFT_REG_1));
    append_u32(message, NFTA_BITWISE_DREG, htonl(NFT_REG_1));
    append_u32(message, NFTA_BITWISE_LEN, htonl(sizeof mask));
    append_value(message, NFTA_BITWISE_MASK, &mask, sizeof mask);
    append_value(message, NFTA_BITWISE_XOR, &none, sizeof none);
    end_expression(message, bitwise);
    append_comparison(message, NFT_CMP_EQ, &wanted, sizeof wanted);
}

/* ip saddr SUBNET oifname != BRIDGE masquerade */
static void append_rule(struct message *message, const char *table, const char *bridge, struct address subnet)
{
    char device[IFNAMSIZ] = {0};
    strncpy(device, bridge, sizeof device - 1);
    struct nlmsghdr *header = begin_table_message(message, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK);
    append_text(message, NFTA_RULE_TABLE, table);
    append_text(message, NFTA_RULE_CHAIN, CHAIN);
    struct nlattr *expressions = begin_nest(message, NFTA_RULE_EXPRESSIONS);
    append_source(message, subnet);
    struct expression meta = begin_expression(message, "meta");
    append_u32(message, NFTA_META_DREG, htonl(NFT_REG_1));
    append_u32(message, NFTA_META_KEY, htonl(NFT_META_OIFNAME));
    end_expression(message, meta);
    append_comparison(message, NFT_CMP_NEQ, device, sizeof device);
    end_expression(message, begin_expression(message, "masq"));
    end_nest(message, expressions);
    end_message(message, header);
}

int make_table(int fd, const char *name, const char *bridge, struct address subnet)
{
    struct message message = {0};
    append_batch_end(&message, NFNL_MSG_BATCH_BEGIN);
    /* Deleting what may not be there is an error, so it is made first: what counts is the end of the batch. */
    append_table(&message, NFT_MSG_NEWTABLE, name);
    append_table(&message, NFT_MSG_DELTABLE, name);
    append_table(&message, NFT_MSG_NEWTABLE, name);
    append_chain(&message, name);
    append_rule(&message, name, bridge, subnet);
    append_batch_end(&message, NFNL_MSG_BATCH_END);
    return send_message(fd, &message, 5);
}

int remove_table(int fd, const char *name)
{
    struct message message = {0};
    append_batch_end(&message, NFNL_MSG_BATCH_BEGIN);
    append_table(&message, NFT_MSG_DELTABLE, name);
    append_batch_end(&message, NFNL_MSG_BATCH_END);
    return send_message(fd, &message, 1) == 0 || errno == ENOENT ? 0 : -1;
}

int has_table(int fd, const char *name)
{
    struct message message = {0};
    append_table(&message, NFT_MSG_GETTABLE, name);
    if (send_message(fd, &message, 1) == 0) return 1;
    return errno == ENOENT ? 0 : -1;
}
