# What each job may do, as a table. iam.tf turns a row into a role; nothing else grants anything.

locals {
  _layers = ["bronze", "silver", "gold/dev", "gold/prod"]
  # The copy of prod as Iceberg tables, where there is one. Who deletes for good deletes what is left of an older one, too.
  _iceberg = { prefixes = var.iceberg ? ["iceberg"] : [], databases = var.iceberg ? ["gold_iceberg"] : [] }

  # Prefixes of the lake (jobs/lake/keys.ts). `commits` adds what every commit needs: manifests, state and the lease, which its
  # holder deletes to give it back. `catalog`: databases whose tables and partitions it sees, whose tables it points elsewhere (write) or
  # removes (delete), whose partitions it registers beside that (register).
  jobs = {
    extract = {
      about     = "foreign files and API answers -> landing"
      commits   = true
      read      = ["landing"]
      write     = ["landing"]
      delete    = []
      workgroup = []
      catalog   = { read = [], write = [], delete = [], register = [] }
      secrets   = ["spotify"]
    }
    load = {
      about     = "landing -> bronze"
      commits   = true
      read      = ["landing", "bronze"]
      write     = ["bronze"]
      delete    = ["landing"] # the inbox is emptied once its files are in bronze
      workgroup = []
      catalog   = { read = [], write = [], delete = [], register = [] }
      secrets   = ["pseudonym-key"]
    }
    stream = {
      about     = "topics of Kafka -> batches in bronze, without a commit; how far they are"
      commits   = false
      read      = ["bronze/stream", "bronze/stream-dead-letters", "manifests", "state"]
      write     = ["bronze/stream", "bronze/stream-dead-letters"]
      delete    = []
      workgroup = []
      catalog   = { read = [], write = [], delete = [], register = [] }
      secrets   = ["pseudonym-key"] # Kafka's own password is no secret of this table: give it to the consumer where it runs
    }
    transform = {
      about     = "bronze -> silver"
      commits   = true
      read      = ["bronze", "silver", "staging"]
      write     = ["bronze/listening_events", "silver", "staging"] # what was taken from batches of streams; the batches stay as they are
      delete    = ["staging"]                                      # what was built ahead and is of no use any more; versions of silver are left to gc
      workgroup = ["dev"]                                          # the events of a large lake are Athena's work, into tables that gc drops
      catalog   = { read = ["bronze", "silver"], write = ["silver"], delete = [], register = ["silver"] }
      secrets   = ["pseudonym-key"] # an address in an event of a stream becomes its pseudonym
    }
    enrich = {
      about     = "silver -> gold_dev"
      commits   = true
      read      = ["silver", "gold/dev"]
      write     = ["gold/dev"]
      delete    = []
      workgroup = ["dev"]
      catalog   = { read = ["silver", "gold_dev"], write = ["gold_dev"], delete = [], register = [] }
      secrets   = []
    }
    train = {
      about     = "gold_dev's model_features -> gold_dev's predictions"
      commits   = true
      read      = ["gold/dev"]
      write     = ["gold/dev"]
      delete    = []
      workgroup = ["dev"]
      catalog   = { read = ["gold_dev"], write = ["gold_dev"], delete = [], register = [] }
      secrets   = []
    }
    check = {
      about     = "tests of silver and gold"
      commits   = true
      read      = ["silver", "gold/dev", "gold/prod"]
      write     = []
      delete    = []
      workgroup = ["dev", "prod"] # gold_prod is checked in the workgroup of prod
      catalog   = { read = ["silver", "gold_dev", "gold_prod"], write = [], delete = [], register = [] }
      secrets   = []
    }
    promote = {
      about     = "gold_dev -> gold_prod, once gold_dev has passed, and its copy"
      commits   = true
      read      = concat(["gold/dev", "gold/prod"], local._iceberg.prefixes)
      write     = concat(["gold/prod"], local._iceberg.prefixes)
      delete    = []
      workgroup = ["prod"]
      catalog   = { read = concat(["gold_dev", "gold_prod"], local._iceberg.databases), write = concat(["gold_prod"], local._iceberg.databases), delete = local._iceberg.databases, register = [] }
      secrets   = []
    }
    report = {
      about     = "gold_prod -> report"
      commits   = false
      read      = ["gold/prod", "manifests", "state"]
      write     = ["report"]
      delete    = []
      workgroup = ["prod"]
      catalog   = { read = ["gold_prod"], write = [], delete = [], register = [] }
      secrets   = []
    }
    gc = {
      about     = "deletes what no manifest names any more"
      commits   = true
      read      = concat(["iceberg", "staging"], local._layers)
      write     = []
      delete    = concat(["iceberg", "manifests", "staging", "state"], local._layers)
      workgroup = []
      catalog   = { read = concat(["silver", "gold_dev", "gold_prod"], local._iceberg.databases), write = [], delete = concat(["silver", "gold_dev", "gold_prod"], local._iceberg.databases), register = [] }
      secrets   = []
    }
    forget = {
      about     = "removes a person everywhere, older versions included"
      commits   = true
      read      = concat(["iceberg", "landing", "report", "staging", "athena-results"], local._layers)
      write     = concat(["report"], local._iceberg.prefixes, local._layers) # the report is drawn again
      delete    = concat(["iceberg", "landing", "manifests", "staging", "state", "report", "athena-results"], local._layers)
      workgroup = ["dev", "prod"]
      catalog   = { read = concat(["bronze", "silver", "gold_dev", "gold_prod"], local._iceberg.databases), write = concat(["silver", "gold_dev", "gold_prod"], local._iceberg.databases), delete = concat(["gold_dev", "gold_prod"], local._iceberg.databases), register = ["silver"] }
      secrets   = ["pseudonym-key"] # an address stands in events as its pseudonym
    }
    retention = {
      about     = "removes old answers of the Web API everywhere, older versions included"
      commits   = true
      read      = concat(["iceberg", "landing", "report", "staging", "athena-results"], local._layers)
      write     = concat(["report"], local._iceberg.prefixes, local._layers) # the report is drawn again
      delete    = concat(["iceberg", "landing", "manifests", "staging", "state", "report", "athena-results"], local._layers)
      workgroup = ["dev", "prod"]
      catalog   = { read = concat(["bronze", "silver", "gold_dev", "gold_prod"], local._iceberg.databases), write = concat(["silver", "gold_dev", "gold_prod"], local._iceberg.databases), delete = concat(["gold_dev", "gold_prod"], local._iceberg.databases), register = ["silver"] }
      secrets   = []
    }
  }

  _commit_prefixes = ["leases", "manifests", "state"]

  # A row with `commits` and `workgroup` written out.
  grants = {
    for name, job in local.jobs : name => merge(job, {
      read   = distinct(concat(job.read, job.commits ? local._commit_prefixes : [], [for group in job.workgroup : "athena-results/${group}"]))
      write  = distinct(concat(job.write, job.commits ? local._commit_prefixes : [], [for group in job.workgroup : "athena-results/${group}"]))
      delete = distinct(concat(job.delete, job.commits ? ["leases"] : []))
      # Only who deletes data on purpose may delete its older versions: all other deletes can be taken back for 30 days.
      is_final = contains(["gc", "forget", "retention"], name)
    })
  }
}
