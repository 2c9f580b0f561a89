/* A PKCS#11 library that hands everything on to SoftHSM and does the one thing that SoftHSM does not: it locks the PIN after three wrong ones and
 * announces it in the token's flags (PKCS #11 2.40, CK_TOKEN_INFO). */
#include <dlfcn.h>
#include <string.h>

enum { GET_FUNCTION_LIST = 3, GET_TOKEN_INFO = 6, LOGIN = 18, FUNCTIONS = 68 };
enum { PIN_INCORRECT = 0xA0, PIN_LOCKED = 0xA4, FLAGS_AT = 96, COUNT_LOW = 0x10000, FINAL_TRY = 0x20000, LOCKED = 0x40000 };

typedef unsigned long (*token_info)(unsigned long, unsigned char *);
typedef unsigned long (*login)(unsigned long, unsigned long, unsigned char *, unsigned long);
struct list {
    unsigned char version[8];
    void *function[FUNCTIONS];
};

static struct list *real, ours;
static int wrong;

static unsigned long get_token_info(unsigned long slot, unsigned char *info)
{
    unsigned long flags, result = ((token_info)real->function[GET_TOKEN_INFO])(slot, info);
    memcpy(&flags, info + FLAGS_AT, sizeof flags);
    flags |= wrong >= 3 ? LOCKED : wrong == 2 ? FINAL_TRY : wrong ? COUNT_LOW : 0;
    memcpy(info + FLAGS_AT, &flags, sizeof flags);
    return result;
}

static unsigned long count_login(unsigned long session, unsigned long user, unsigned char *pin, unsigned long length)
{
    unsigned long result;
    if (wrong >= 3)
        return PIN_LOCKED;
    result = ((login)real->function[LOGIN])(session, user, pin, length);
    wrong = result == PIN_INCORRECT ? wrong + 1 : 0;
    return result;
}

unsigned long C_GetFunctionList(struct list **list)
{
    unsigned long (*get)(struct list **) = dlsym(dlopen(SOFTHSM, RTLD_NOW), "C_GetFunctionList");
    unsigned long result = get(&real);
    ours = *real;
    ours.function[GET_FUNCTION_LIST] = C_GetFunctionList;
    ours.function[GET_TOKEN_INFO] = get_token_info;
    ours.function[LOGIN] = count_login;
    *list = &ours;
    return result;
}
