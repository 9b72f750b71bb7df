# cmake -DREADELF=<readelf> -DLIBRARY=<file> -P check_symbols.cmake
# Fails if the library needs a symbol newer than glibc 2.28 or exports a name that does not start with pan_.
set(NEWEST 2.28)
execute_process(COMMAND "${READELF}" --dyn-syms --wide "${LIBRARY}" OUTPUT_VARIABLE SYMBOLS RESULT_VARIABLE FAILED)
if(FAILED)
  message(FATAL_ERROR "${READELF} cannot read ${LIBRARY}")
endif()

string(REGEX MATCHALL "[A-Za-z_0-9]+@+GLIBC_[0-9.]+" VERSIONED "${SYMBOLS}")
set(TOO_NEW "")
set(NEWEST_FOUND 0)
foreach(symbol ${VERSIONED})
  string(REGEX REPLACE ".*GLIBC_" "" version "${symbol}")
  if(version VERSION_GREATER NEWEST)
    list(APPEND TOO_NEW "${symbol}")
  endif()
  if(version VERSION_GREATER NEWEST_FOUND)
    set(NEWEST_FOUND "${version}")
  endif()
endforeach()
message(STATUS "newest glibc symbol: ${NEWEST_FOUND}")

# Columns: number, value, size, type, binding, visibility, section, name; needed symbols have section UND.
set(FOREIGN "")
string(REGEX MATCHALL "(GLOBAL|WEAK) +DEFAULT +[0-9]+ [A-Za-z_0-9]+" EXPORTED "${SYMBOLS}")
foreach(line ${EXPORTED})
  string(REGEX REPLACE ".* " "" name "${line}")
  if(NOT name MATCHES "^pan_")
    list(APPEND FOREIGN "${name}")
  endif()
endforeach()
list(LENGTH EXPORTED EXPORTED_COUNT)
message(STATUS "exported symbols: ${EXPORTED_COUNT}")

list(REMOVE_DUPLICATES TOO_NEW)
if(TOO_NEW OR FOREIGN OR NOT VERSIONED OR EXPORTED_COUNT EQUAL 0)
  message(FATAL_ERROR "newer than glibc ${NEWEST} (see native/src/core/glibc.h): ${TOO_NEW}; "
                      "exported without pan_: ${FOREIGN}")
endif()
