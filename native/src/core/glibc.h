/* Binds to the oldest versions of the glibc symbols that got a newer one after glibc 2.28, so that a library built on a
 * new system loads on an old one. Included in front of every C file of the library by the build, on x86-64 with glibc;
 * the test `symbols` finds what is missing here. */
#ifndef PAN_CORE_GLIBC_H
#define PAN_CORE_GLIBC_H

#define PAN_OLD_SYMBOL(name) __asm__(".symver " #name "," #name "@GLIBC_2.2.5")

/* 2.29: no wrapper that sets errno the SVID way */
PAN_OLD_SYMBOL(exp);
PAN_OLD_SYMBOL(log);
PAN_OLD_SYMBOL(pow);

/* 2.34: libdl and libpthread became part of libc */
PAN_OLD_SYMBOL(dladdr);
PAN_OLD_SYMBOL(dlclose);
PAN_OLD_SYMBOL(dlerror);
PAN_OLD_SYMBOL(dlopen);
PAN_OLD_SYMBOL(dlsym);
PAN_OLD_SYMBOL(pthread_create);
PAN_OLD_SYMBOL(pthread_join);
PAN_OLD_SYMBOL(pthread_mutex_trylock);
PAN_OLD_SYMBOL(pthread_once);

#endif
