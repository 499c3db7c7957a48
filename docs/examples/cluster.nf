// nextflow run cluster.nf, with process.executor = 'slurm' in nextflow.config
params.run = '--methods lsr,knn --protocol geo --preset tiny'
params.results = "$launchDir/results"

process LIST {
    output: path 'jobs.json'
    script: "genebench jobs ${params.run} --results ${params.results} --json > jobs.json"
}

process JOB {
    cpus { job.resources.cpus }
    memory { "${job.resources.memory} B" }
    time { "${job.resources.seconds as int} s" }
    errorStrategy { task.exitStatus == 75 ? 'retry' : 'finish' }
    maxRetries 3
    input: val job
    script: "genebench job ${job.key} --results ${params.results}"
}

workflow {
    JOB(LIST().splitJson())
}
