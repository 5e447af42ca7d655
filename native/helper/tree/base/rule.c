#include "tree/base/rule.h"

#include "tree/base/record.h"

uint64_t rule_entry;

int refuse(enum rule rule, const char *path, size_t length)
{
    struct record record = record_start();
    record_u32(&record, rule);
    record_u64(&record, rule_entry);
    record_bytes(&record, path, length);
    record_send(&record, RECORD_REFUSED);
    return -1;
}
